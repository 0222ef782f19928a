"""The detector that a configuration asks for."""

from __future__ import annotations

import logging

from rtc_stt.errors import ModelError
from rtc_stt.instrument import Instrument
from rtc_stt.vad.batcher import Batcher, VadBatcher
from rtc_stt.vad.process import ProcessBatcher
from rtc_stt.vad.settings import Detection, OwnProcess
from rtc_stt.vad.silero import SileroDetector

__all__ = ["make_vad"]

log = logging.getLogger(__name__)


def make_vad(detection: Detection, sessions: int, instrument: Instrument) -> Batcher:
    """Silero, in a process of its own or a thread, ready.

    Args:
        sessions: that there may be at a time; 0 where nobody knows.

    Raises:
        ModelError: the model is missing, or ``VAD_PROCESS=true`` and there can be no process.
    """
    if not detection.has_process(sessions):
        return VadBatcher(SileroDetector())
    try:
        return ProcessBatcher(instrument=instrument)
    except ModelError as error:
        if detection.vad_process is OwnProcess.TRUE:
            raise
        log.warning("VAD_PROCESS=auto: the detector runs in a thread, for it has no process: %s", error)
        return VadBatcher(SileroDetector())
