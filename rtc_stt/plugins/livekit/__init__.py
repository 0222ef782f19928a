"""Speech-to-text for LiveKit Agents: ``AgentSession(stt=STT("https://stt.example.org", key=KEY), …)``.

The mapping between events is in :mod:`~rtc_stt.plugins.livekit.mapping`, options in
:mod:`~rtc_stt.plugins.livekit.options`. Needs ``rtc-stt[livekit]``.
"""

from __future__ import annotations

from rtc_stt.plugins.livekit.stream import RecognizeStream
from rtc_stt.plugins.livekit.stt import STT

__all__ = ["STT", "RecognizeStream"]
