"""Voice activity detection: how likely is it that a 32 ms window holds speech?"""

from __future__ import annotations

from rtc_stt.vad.batcher import VadBatcher
from rtc_stt.vad.detector import Detector, DetectorState
from rtc_stt.vad.energy import EnergyDetector
from rtc_stt.vad.silero import SileroDetector

__all__ = ["Detector", "DetectorState", "EnergyDetector", "SileroDetector", "VadBatcher"]
