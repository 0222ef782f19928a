"""Ways that we have adapters for. Those that need a framework import it when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from rtc_stt.testing.conformance.way import Way
from rtc_stt.testing.conformance.ways.deepgram import DeepgramWay
from rtc_stt.testing.conformance.ways.openai import OpenAICallWay, OpenAIWay
from rtc_stt.testing.conformance.ways.raw import RawWay
from rtc_stt.testing.conformance.ways.rtvi import RtviWay
from rtc_stt.testing.conformance.ways.sdk import LiveSessionWay, StreamClientWay

__all__ = [
    "WAYS",
    "DeepgramWay",
    "LiveSessionWay",
    "OpenAICallWay",
    "OpenAIWay",
    "RawWay",
    "RtviWay",
    "StreamClientWay",
]

WAYS: Mapping[str, Callable[[str, str | None], Way]] = {
    "raw": RawWay,
    "stream": StreamClientWay,
    "webrtc": LiveSessionWay,
    "openai": OpenAIWay,
    "openai-manual": partial(OpenAIWay, finds_turns=False),
    "openai-call": OpenAICallWay,
    "deepgram": DeepgramWay,
    "rtvi": RtviWay,
}
"""By name, those that need nothing installed; each takes the URL of a server and a key."""
