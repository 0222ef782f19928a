"""Filters from 8 kHz (and other rates) to 16 kHz: ours, and FFmpeg's.

Cost is of a packet of 20 ms at a time. A filter's error is what of a pure tone is not that tone (its image
above 4 kHz included), relative to it; its backlog, how much of the input has not come out after one second.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.media import MonoResampler
from rtc_stt.polyphase import Upsampler

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "cost, errors and backlog of the filters to 16 kHz: FFmpeg's against ours"

TONES = (300, 1_000, 2_000, 3_000, 3_400)
RATE = 8_000
PACKET = RATE // 50
ROUNDS, PACKETS = 20, 100

Push = Callable[[Samples], Samples]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command: none."""


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All filters."""
    told = {name: _judge(make) for name, make in (("polyphase", _ours), ("swr", _swr))}
    ours, theirs = told["polyphase"], told["swr"]
    return {
        "marks": {
            "image_of_3_khz_below_minus_100_db": ours["image_db"]["3000"] < -100,
            "backlog_at_most_2_ms": ours["backlog_ms"] <= 2.0,
            "cheaper_than_swr": ours["us_per_packet"] < theirs["us_per_packet"],
        },
        "filters": told,
    }


def _ours() -> Push:
    return Upsampler().push


def _swr() -> Push:
    resampler = MonoResampler()

    def push(samples: Samples) -> Samples:
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        return resampler.push(frame)

    return push


def _judge(make: Callable[[], Push]) -> dict[str, Any]:
    return {
        "us_per_packet": round(_cost_us(make()), 1),
        "backlog_ms": round(_backlog_ms(make()), 2),
        "image_db": {str(hertz): round(_image_db(make(), hertz), 1) for hertz in TONES},
        "level_db": {str(hertz): round(_level_db(make(), hertz), 3) for hertz in TONES},
    }


def _tone(hertz: float) -> Samples:
    return np.asarray(0.5 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE), np.float32)


def _cost_us(push: Push) -> float:
    """The best round of some: what the machine does besides is not the filter's."""
    packet = _tone(700)[:PACKET]
    costs = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(PACKETS):
            push(packet)
        costs.append((time.perf_counter() - begun) / PACKETS)
    return 1e6 * min(costs)


def _backlog_ms(push: Push) -> float:
    """By how much a click in the midst of a second comes later than it went in, and what has not come out."""
    audio = np.zeros(RATE, np.float32)
    audio[RATE // 2] = 1
    out = np.concatenate([push(audio[at : at + PACKET]) for at in range(0, RATE, PACKET)])
    late = int(np.argmax(np.abs(out))) - SAMPLE_RATE // 2
    return 1000 * (late + SAMPLE_RATE - len(out)) / SAMPLE_RATE


def _spectrum(push: Push, hertz: float) -> tuple[np.ndarray, np.ndarray]:
    out = push(_tone(hertz))[500:-500]
    return np.fft.rfftfreq(len(out), 1 / SAMPLE_RATE), np.abs(np.fft.rfft(out * np.blackman(len(out))))


def _image_db(push: Push, hertz: float) -> float:
    """The loudest above 4.2 kHz against the tone."""
    frequencies, levels = _spectrum(push, hertz)
    return float(20 * np.log10(levels[frequencies > 4_200].max() / levels.max()))


def _level_db(push: Push, hertz: float) -> float:
    """The tone against what it was."""
    out = push(_tone(hertz))[500:-500]
    return float(20 * np.log10(np.sqrt(2 * np.mean(np.square(out.astype(np.float64)))) / 0.5))
