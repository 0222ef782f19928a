"""For users' tests and our own: fakes that do as they are told, and a replay.

:mod:`rtc_stt.testing.conformance` is what every way to a server has to fulfil.
"""

from __future__ import annotations

from rtc_stt.testing.fakes import (
    Cue,
    Said,
    ScriptedEngine,
    ScriptedTarget,
    ScriptedVad,
    final,
    hypothesis,
    render,
    replay,
)

__all__ = [
    "Cue",
    "Said",
    "ScriptedEngine",
    "ScriptedTarget",
    "ScriptedVad",
    "final",
    "hypothesis",
    "render",
    "replay",
]
