"""How recordings are spoken, as detector and endpointer hear them: what the simulation's speakers then do."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples, Windower
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import Endpointer, Paused, Signal, Started, Stopped
from rtc_stt.simulation import Manner, Stretch
from rtc_stt.vad.detector import Detector

__all__ = ["manner_of"]


def manner_of(
    recordings: Sequence[Samples],
    detector: Detector,
    endpointing: Endpointing,
    *,
    silence_s: float,
    rounds: int = 3,
    seed: int = 1,
) -> Manner:
    """The turns of somebody who says these, with so much silence behind each.

    Args:
        rounds: how often each is said; what came before it has some say in how it is heard.
    """
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    silence = np.zeros(round(silence_s * SAMPLE_RATE), np.float32)
    said = list[Samples]([silence])
    for _ in range(rounds):
        for recording in chance.sample(recordings, len(recordings)):
            said += [recording, silence]
    listener = _Listener(Endpointer(endpointing))
    windower, state = Windower(), detector.new_state()
    for samples in said:
        for frame in windower.push(samples):
            [probability] = detector.detect([state], frame.samples[np.newaxis])
            for signal in listener.endpointer.receive(frame, probability):
                listener.follow(signal)
            listener.look(frame.start, frame.end)
    return Manner(
        turns=tuple(listener.turns),
        silence_s=tuple(round(one / SAMPLE_RATE, 4) for one in listener.silences),
        vary=0.0,
        doubted=0.0,
    )


@dataclass
class _Listener:
    """Writes down what an endpointer finds. All positions are in samples."""

    endpointer: Endpointer
    turns: list[tuple[Stretch, ...]] = field(default_factory=list)
    silences: list[int] = field(default_factory=list)
    spoken: list[list[int]] = field(default_factory=list)
    """Of the open turn: begin and end of each stretch, and the end of its voice."""
    ended: int | None = None
    """The last speech of the turn before."""

    def follow(self, signal: Signal) -> None:
        """Take what was signalled."""
        match signal:
            case Started(start):
                if self.ended is not None:
                    self.silences.append(start - self.ended)
                self.spoken = [[start, start, start]]
            case Paused(speech_end):
                self.spoken[-1][2] = speech_end
            case Stopped(speech_end):
                self.spoken[-1][2] = speech_end
                self.ended = self.spoken[-1][1]
                self.turns.append(_turn(self.spoken))

    def look(self, start: int, end: int) -> None:
        """Behind a window."""
        if self.endpointer.is_speaking:
            last = self.spoken[-1]
            if start > last[1] and last[1] > last[0]:
                self.spoken.append([start, end, end])
            else:
                last[1] = last[2] = end


def _turn(spoken: Sequence[Sequence[int]]) -> tuple[Stretch, ...]:
    behind = [following[0] for following in spoken[1:]] + [spoken[-1][1]]
    return tuple(
        Stretch(
            (ended - began) / SAMPLE_RATE,
            max(0, ended - voice) / SAMPLE_RATE,
            (begins - ended) / SAMPLE_RATE,
        )
        for (began, ended, voice), begins in zip(spoken, behind, strict=True)
    )
