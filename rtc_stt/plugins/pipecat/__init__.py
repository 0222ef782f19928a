"""Speech-to-text for Pipecat: ``RtcSTTService(url)`` in a pipeline. Needs the extra ``rtc-stt[pipecat]``."""

from __future__ import annotations

from rtc_stt.plugins.pipecat.service import RtcSTTService
from rtc_stt.plugins.pipecat.settings import RtcSTTSettings

__all__ = ["RtcSTTService", "RtcSTTSettings"]
