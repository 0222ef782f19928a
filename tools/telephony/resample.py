"""Filters from 8 to 16 kHz: ours, ours with a quarter of its taps, and FFmpeg's.

Cost is of a packet of 20 ms at a time. An image is what a filter mirrors above 4 kHz of a tone, relative to
it; its backlog, how much later a click comes out than it went in. With ``--recognition`` the demo models hear
the clips of the repository over a telephone line through each filter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.telephone import telephone
from rtc_stt.bench.words import word_error_rate
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.media import MonoResampler
from rtc_stt.polyphase import Upsampler
from tools.live_line.measure import engine

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "cost, images and backlog of filters from 8 to 16 kHz, and what is understood through them"

TONES = (300, 1_000, 2_000, 3_000, 3_400)
RATE = 8_000
PACKET = RATE // 50
ROUNDS, PACKETS = 20, 100

LATER = (0, 5, 11, 18, 29, 47)
"""Samples of 8 kHz before a clip."""

Push = Callable[[Samples], Samples]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--recognition", action="store_true", help="word error rates too: a few minutes")
    parser.add_argument("--limit", type=int, help="clips of each set (default: all)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All filters."""
    told = {name: _judge(make) for name, make in FILTERS.items()}
    if options.recognition:
        clips = load(limit=options.limit)
        for name, make in FILTERS.items():
            told[name]["word_error_rate_percent"] = _recognise(make, clips)
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


def _short() -> Push:
    """The filter that was here before: 16 taps between two samples, of a wider window."""
    taps = np.sinc(np.arange(16) - 7.5) * np.kaiser(16, 5.0)
    taps = np.asarray(taps / taps.sum(), np.float32)
    tail = np.zeros(16, np.float32)

    def push(samples: Samples) -> Samples:
        nonlocal tail
        data = np.concatenate([tail, samples])
        tail = data[len(samples) :]
        out = np.empty(2 * len(samples), np.float32)
        out[0::2] = data[8 : len(data) - 8]
        out[1::2] = np.correlate(data[1:], taps)
        return out

    return push


FILTERS = {"polyphase": _ours, "16_taps": _short, "swr": _swr}


def _recognise(make: Callable[[], Push], clips: list[Clip]) -> dict[str, float]:
    """Word error rate of the fast demo model on whole clips, in percent.

    What it understands of a telephone depends on where a clip begins, by single samples, and more so than on
    the filter. So each clip is heard several times, each time later.
    """
    ears = engine(demo_models.FAST, beam_size=1)
    rates = []
    for later in LATER:
        texts = []
        for clip in clips:
            push = make()
            line = np.pad(telephone(clip.audio())[::2], (later, 0))
            audio = np.concatenate([push(line[at : at + PACKET]) for at in range(0, len(line), PACKET)])
            request = DecodeRequest("resample", 1, 1, Tier.FAST, Urgency.FINAL, audio, 0)
            texts.append((clip.text, ears.decode(request).text))
        rates.append(100 * word_error_rate(texts))
    return {
        "mean": round(float(np.mean(rates)), 2),
        "lowest": round(min(rates), 2),
        "highest": round(max(rates), 2),
    }


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
