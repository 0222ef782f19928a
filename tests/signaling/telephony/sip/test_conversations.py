"""What is said in golden conversations is as it was; ``conversations.py`` says how a change is kept."""

from __future__ import annotations

import re

import pytest

from tests.signaling.telephony.sip.conversations import FILES, replay
from tests.signaling.telephony.sip.world import parse


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_conversation_goes_as_it_went(path):
    kept = path.read_text(encoding="utf-8")
    assert replay(kept).splitlines() == kept.splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_we_say_can_be_read_by_another_parser(path):
    text = "\n".join(re.sub(r"^< ?", "", line) if line[:1] == "<" else "\0" for line in path.open())
    said = [
        part
        for part in re.split(r"[\0\n]*udp [\d.:]+\n|\d+\.\d+ \w+ [\d.]+:\d+\n", text)
        if "SIP/2.0" in part
    ]
    assert said
    for part in said:
        head = re.split(r"\n\s*\n|\0", part.replace("\n\n", "\n"))[0].strip("\n\0")
        assert parse(head.replace("\n", "\r\n").encode() + b"\r\n\r\n").call_id
