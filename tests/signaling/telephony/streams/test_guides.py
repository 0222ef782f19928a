"""What users paste from the guides is what it says it is, and leads to dialects that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from signaling.telephony.streams.dialects import KINDS

GUIDES = Path(__file__).parents[4] / "docs" / "guides"
STREAMED = ("twilio", "telnyx", "vonage", "freeswitch", "jambonz", "plivo-exotel", "asterisk")


def blocks(guide: str, language: str) -> list[str]:
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", STREAMED)
def test_examples_are_well_formed(guide):
    for block in blocks(guide, "xml"):
        ElementTree.fromstring(f"<guide>{block}</guide>")  # noqa: S314 — ours
    for block in blocks(guide, "json"):
        json.loads(block)


def test_every_dialect_has_a_guide_and_every_guide_a_dialect():
    told = {
        name
        for guide in GUIDES.glob("*.md")
        for name in re.findall(r"/v1/media/([a-z-]+)", guide.read_text(encoding="utf-8"))
    }
    assert told == set(KINDS)


def test_the_stream_of_the_dial_plan_begins_a_call():
    """Its metadata has to survive the quoting of XML."""
    (plan,) = blocks("freeswitch", "xml")
    actions = ElementTree.fromstring(plan).iter("action")  # noqa: S314 — ours
    data = next(d for a in actions if "uuid_audio_stream" in (d := a.get("data", "")))
    url, _mix, _rate, metadata = re.search(r"start (\S+) (\S+) (\S+) (.*)$", data).groups()
    assert url.endswith("?rate=16000&channels=2")
    body = json.loads(metadata)
    assert set(body) == {"uuid", "caller", "callee"}
