"""What is said in golden conversations is as it was; ``conversations.py`` says how a change is kept."""

from __future__ import annotations

import pytest

from tests.signaling.telephony.sip.conversations import FILES, play, replay
from tests.signaling.telephony.sip.world import parse


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_conversation_goes_as_it_went(path):
    kept = path.read_text(encoding="utf-8")
    assert replay(kept).splitlines() == kept.splitlines()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_we_say_can_be_read_by_another_parser(path):
    _, sent = play(path.read_text(encoding="utf-8"))
    assert sent
    for data in sent:
        said = parse(data)
        assert said.content_length == len(said.body)
        assert said.headers.getlist("Via")
        assert said.cseq.sequence
        assert said.from_address.uri
        assert said.to_address.uri
