"""The detector on telephone lines: with its network for 16 kHz, with that for 8 kHz, and with both.

Every second sample of a telephone leg is one that came, so a network for 8 kHz can hear just that. All clips,
shuffled, follow one another in a few long streams, as callers do; then noises, in which every start is a
false one. No recognizer, no decodes: the endpointer makes starts and ends of probabilities.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.noises import NOT_SPEECH
from rtc_stt.bench.result import percentiles
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import Endpointer, Started, Stopped
from rtc_stt.vad import DetectorState
from rtc_stt.vad.network import MEMORY, Floats, Network
from rtc_stt.vad.silero import Line, SileroDetector, StreamState, model_path
from rtc_stt.vad.stream_table import MEMORIES
from tools.live_line.detector import LATE_MS, Stream, compose
from tools.telephony.line import heard_over

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "starts, ends, misses and cost of the detector on telephone lines"

NOISE_S = 30
STREAMS = (1, 16, 64)
"""Of a call whose cost is told."""

COST_ROUNDS = 60

Spans = list[tuple[int, int]]
"""Start and end of utterances, ms."""


class _Wide(SileroDetector):
    """Without the network for 8 kHz."""

    def new_state(self) -> DetectorState:
        return StreamState(self._table, Line.WIDE)


class _Known(SileroDetector):
    """It has been heard that these are telephone lines."""

    def new_state(self) -> DetectorState:
        return StreamState(self._table, Line.TELEPHONE)


class _EverySecond:
    """The network for 8 kHz in the place of that for 16 kHz."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.context = 2 * network.context

    def spectra(self, heard: Floats) -> Floats:
        return self._network.spectra(heard[:, 1::2])

    def run(self, spectra: Floats, memories: Floats) -> tuple[Floats, Floats]:
        return self._network.run(spectra, memories)


class _Narrow(_Wide):
    """With nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self._network = _EverySecond(self._narrow)  # type: ignore[assignment]


class _Runtime:
    """The model as onnxruntime runs it, the whole of it for each memory."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model_path(), options, providers=["CPUExecutionProvider"]
        )

    def new_state(self) -> Floats:
        return np.zeros((2, MEMORIES, MEMORY), np.float32)

    def detect(self, states: list[Floats], windows: Floats) -> None:
        heard = np.repeat(np.pad(windows, ((0, 0), (64, 0))), MEMORIES, axis=0)
        given = {"input": heard, "state": np.concatenate(states, axis=1), "sr": np.array(SAMPLE_RATE)}
        self._session.run(None, given)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=int, help="clips of each set (default: all)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both rates on lines, and for comparison 16 kHz on what was there before the line."""
    streams = compose(options.limit)
    wide = [stream.audio for stream in streams]
    lines = [heard_over(audio) for audio in wide]
    noises = [make(NOISE_S, 1).astype(np.float32) for make in NOT_SPEECH.values()]
    over = [heard_over(np.clip(noise, -1, 1)) for noise in noises]
    before = {
        "as_shipped": _judge(SileroDetector(), streams, wide, noises),
        "16_khz_alone": _judge(_Wide(), streams, wide, noises),
    }
    behind = {
        "as_shipped": _judge(SileroDetector(), streams, lines, over),
        "16_khz_alone": _judge(_Wide(), streams, lines, over),
        "8_khz_alone": _judge(_Narrow(), streams, lines, over),
    }
    shipped, alone = behind["as_shipped"], behind["16_khz_alone"]
    costs = _costs()
    return {
        "marks": {
            "late_starts_fewer_than_with_16_khz_alone": shipped["all"]["starts_later_than_the_preroll"]
            < alone["all"]["starts_later_than_the_preroll"],
            "no_more_false_starts_in_noise": shipped["false_starts_a_minute_of_noise"]
            <= alone["false_starts_a_minute_of_noise"],
            "64_streams_cost_less_than_half_of_onnxruntime": costs["as_shipped_on_a_telephone_line"]["64"]
            < costs["onnxruntime"]["64"] / 2,
        },
        "before_the_line": before,
        "behind_the_line": behind,
        "cost_us_per_window": costs,
    }


def _judge(
    detector: SileroDetector, streams: list[Stream], lines: list[Samples], noises: list[Samples]
) -> dict[str, Any]:
    found = _utterances(detector, lines)
    rows: dict[str, list[dict[str, Any]]] = {}
    for stream, line, spans in zip(streams, lines, found, strict=True):
        for clip, row in _compare(stream, len(line), spans):
            rows.setdefault(clip.set, []).append(row)
    false_starts = sum(len(spans) for spans in _utterances(detector, noises))
    return {
        **{name: _summary(of_set) for name, of_set in sorted(rows.items())},
        "all": _summary([row for of_set in rows.values() for row in of_set]),
        "false_starts_a_minute_of_noise": round(false_starts / (len(noises) * NOISE_S / 60), 2),
    }


def _utterances(detector: SileroDetector, lines: Sequence[Samples]) -> list[Spans]:
    """What is heard on each line, all of them side by side."""
    states = [detector.new_state() for _ in lines]
    ends = [Endpointer(Endpointing()) for _ in lines]
    begun = [list[int]() for _ in lines]
    spans: list[Spans] = [[] for _ in lines]
    for at in range(0, max(map(len, lines)) - WINDOW, WINDOW):
        on = [n for n, line in enumerate(lines) if at + WINDOW <= len(line)]
        windows = np.stack([lines[n][at : at + WINDOW] for n in on])
        judged = detector.detect([states[n] for n in on], windows)
        for n, window, probability in zip(on, windows, judged, strict=True):
            for signal in ends[n].receive(AudioFrame(at, window), probability):
                if isinstance(signal, Started):
                    begun[n].append(signal.start)
                elif isinstance(signal, Stopped):
                    spans[n].append((_ms(begun[n].pop()), _ms(signal.speech_end)))
    for n, end in enumerate(ends):
        if stopped := end.stop():
            spans[n].append((_ms(begun[n].pop()), _ms(stopped.speech_end)))
    return spans


def _compare(stream: Stream, length: int, spans: Spans) -> Iterable[tuple[Clip, dict[str, Any]]]:
    """Of each clip, what was made of it. An utterance is of the clip with which it begins or overlaps."""
    edges = [at + clip.speech_start_ms - 500 for at, clip in stream.clips] + [_ms(length)]
    for (at, clip), (begin, end) in zip(stream.clips, pairwise(edges), strict=True):
        true_start, true_end = at + clip.speech_start_ms, at + clip.speech_end_ms
        mine = [span for span in spans if begin <= span[0] < end]
        of_speech = [span for span in mine if span[0] < true_end and span[1] > true_start]
        yield (
            clip,
            {
                "start": max(0, of_speech[0][0] - true_start) if of_speech else None,
                "end": of_speech[-1][1] - true_end if of_speech else None,
                "false": len(mine) - len(of_speech),
            },
        )


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    starts = [row["start"] for row in rows if row["start"] is not None]
    ends = [row["end"] for row in rows if row["end"] is not None]
    return {
        "clips": len(rows),
        "missed": len(rows) - len(starts),
        "starts_later_than_the_preroll": sum(ms > LATE_MS for ms in starts),
        "start_late_ms": percentiles(starts) | {"max": max(starts)},
        "end_late_ms": percentiles(ends) | {"min": min(ends)},
        "false_starts": sum(row["false"] for row in rows),
    }


def _costs() -> dict[str, dict[str, float]]:
    detectors = {
        "as_shipped_on_a_telephone_line": _Known(),
        "as_shipped_before_that_is_known": SileroDetector(),
        "as_shipped_elsewhere": _Wide(),
        "8_khz_alone": _Narrow(),
        "onnxruntime": _Runtime(),
    }
    return {
        name: {str(count): round(_cost_us(detector, count), 1) for count in STREAMS}
        for name, detector in detectors.items()
    }


def _cost_us(detector: Any, count: int) -> float:
    """Of one window where ``count`` streams share a call, at best: the machine does other things besides."""
    states = [detector.new_state() for _ in range(count)]
    noise = np.random.default_rng(1).standard_normal(count * WINDOW).astype(np.float32) * np.float32(0.05)
    windows = heard_over(noise)[: count * WINDOW].reshape(count, WINDOW)
    costs = []
    for _ in range(COST_ROUNDS):
        begun = time.perf_counter()
        detector.detect(states, windows)
        costs.append(time.perf_counter() - begun)
    return 1e6 * min(costs) / count


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE
