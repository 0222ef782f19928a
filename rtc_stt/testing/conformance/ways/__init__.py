"""Ways that we have adapters for. Those that need a framework import it when they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rtc_stt.testing.conformance.way import Way
from rtc_stt.testing.conformance.ways.raw import RawWay
from rtc_stt.testing.conformance.ways.sdk import LiveSessionWay, StreamClientWay

__all__ = ["WAYS", "LiveSessionWay", "RawWay", "StreamClientWay"]

WAYS: Mapping[str, Callable[[str, str | None], Way]] = {
    "raw": RawWay,
    "stream": StreamClientWay,
    "webrtc": LiveSessionWay,
}
"""By name, those that need nothing installed; each takes the URL of a server and a key."""
