"""Voice activity detection: how likely is it that a 32 ms window holds speech?"""

from __future__ import annotations

from rtc_stt.vad.batcher import Batcher, Judgement, VadBatcher
from rtc_stt.vad.detector import Detector, DetectorState
from rtc_stt.vad.energy import EnergyDetector
from rtc_stt.vad.making import make_vad
from rtc_stt.vad.process import ProcessBatcher
from rtc_stt.vad.settings import Detection
from rtc_stt.vad.silero import SileroDetector

__all__ = [
    "Batcher",
    "Detection",
    "Detector",
    "DetectorState",
    "EnergyDetector",
    "Judgement",
    "ProcessBatcher",
    "SileroDetector",
    "VadBatcher",
    "make_vad",
]
