"""An engine that takes as long as it is told, and says as many words as there is audio.

With it a run is real but for the model: what comes out then shows queue, batches, ladder and speakers, on any
machine.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.hypothesis import DecodeRequest, Hypothesis
from rtc_stt.simulation.service_times import ServiceTimes

__all__ = ["PacedEngine"]

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

WORDS_A_SECOND = 2.5


class PacedEngine:
    """Sleeps, so that nobody is in its way and it is in nobody's.

    Args:
        times: how long.
        seed: of which of its spread is drawn.
    """

    name = "paced"
    languages = frozenset({"en"})

    def __init__(self, times: ServiceTimes, seed: int = 0) -> None:
        self._times = times
        self._chance = random.Random(seed)  # noqa: S311 - a measurement, no secret
        self._lock = threading.Lock()

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """One request."""
        return self.decode_batch([request])[0]

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """Several, in the time that so many take."""
        ends = time.monotonic()
        longest_s = max(len(request.audio) for request in requests) / SAMPLE_RATE
        with self._lock:
            ends += self._times.draw(len(requests), longest_s, self._chance)
        answers = self.hear(requests)
        time.sleep(max(0.0, ends - time.monotonic()))
        return answers

    def hear(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """The answers, in no time."""
        return [_heard(request, self.name) for request in requests]


def _heard(request: DecodeRequest, name: str) -> Hypothesis:
    count = max(1, round(len(request.audio) / SAMPLE_RATE * WORDS_A_SECOND))
    return Hypothesis(
        request=request,
        text=" ".join(WORDS[n % len(WORDS)] for n in range(count)),
        language="en",
        language_probability=1.0,
        avg_logprob=-0.1,
        no_speech_prob=0.01,
        compression_ratio=1.2,
        tokens=count,
        model=name,
    )
