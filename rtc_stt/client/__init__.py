"""The SDK for Python programs: a live session over WebRTC that holds when the network does not."""

from __future__ import annotations

from rtc_stt.client.live_session import LiveSession, State

__all__ = ["LiveSession", "State"]
