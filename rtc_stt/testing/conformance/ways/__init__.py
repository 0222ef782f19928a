"""Ways that we have adapters for. Those that need a framework import it when they are used."""

from __future__ import annotations

from rtc_stt.testing.conformance.ways.raw import RawWay
from rtc_stt.testing.conformance.ways.sdk import LiveSessionWay, StreamClientWay

__all__ = ["LiveSessionWay", "RawWay", "StreamClientWay"]
