"""The SDK for Python programs: recordings over HTTP, and live sessions that hold."""

from __future__ import annotations

from rtc_stt.client.call_events import CallEvent, CallEvents
from rtc_stt.client.live_session import LiveSession, State
from rtc_stt.client.local_session import LocalSession
from rtc_stt.client.recording import Audio
from rtc_stt.client.result import Result, Telemetry
from rtc_stt.client.stream_client import StreamClient
from rtc_stt.client.stt_client import SttClient
from rtc_stt.client.stt_pool import ServerState, SttPool
from rtc_stt.client.sync import SttClientSync, SttPoolSync

__all__ = [
    "Audio",
    "CallEvent",
    "CallEvents",
    "LiveSession",
    "LocalSession",
    "Result",
    "ServerState",
    "State",
    "StreamClient",
    "SttClient",
    "SttClientSync",
    "SttPool",
    "SttPoolSync",
    "Telemetry",
]
