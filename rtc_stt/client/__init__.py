"""The SDK for Python programs: live sessions that hold when the network does not, by WebRTC or WebSocket."""

from __future__ import annotations

from rtc_stt.client.live_session import LiveSession, State
from rtc_stt.client.stream_client import StreamClient

__all__ = ["LiveSession", "State", "StreamClient"]
