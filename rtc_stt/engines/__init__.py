"""Speech models: what turns audio into a hypothesis."""

from __future__ import annotations

from rtc_stt.engines.whisper import WhisperEngine

__all__ = ["WhisperEngine"]
