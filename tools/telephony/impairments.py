"""What a bad line does to the times of a transcript.

The same calls over a line that loses and delays nothing, and over one that loses 5 % of the packets and
delays each of the others by up to 30 ms. Packets travel in virtual time into the receiver of a call
(:class:`signaling.receiver.AudioReceiver`); what comes out of that goes into a session with the demo models,
as fast as it takes it. Each utterance of the bad line is compared with the same one of the good line.

Beside it, for comparison, a good line on which the caller spoke 11 ms later: so much do the times of the
detector (windows of 32 ms) and of the model's words waver by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Origin, Samples
from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.words import normalise
from rtc_stt.cli.demo import demo_speech
from rtc_stt.commands import Configure
from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech
from signaling.codecs import Codec
from signaling.receiver import AudioReceiver
from tools.telephony.packets import Timed, speak

__all__ = ["HELP", "Line", "add_arguments", "arrivals", "measure", "receive"]

HELP = "times of transcripts over a line with 5 % loss and 30 ms of jitter, against a line without"

BEFORE_S, AFTER_S = 0.6, 1.2
"""Of silence before each clip, and after the last: the hangover ends within it."""

CLIPS_A_CALL = 5
LATER_S = 0.011
"""Not a multiple of any window, nor near one."""

WITHIN_MS = 20
"""What the times of a transcript may differ by."""

WINDOW_MS = WINDOW * 1000 // SAMPLE_RATE
"""Of the detector: where speech starts and ends is told by whole ones."""

PCMU = {0: Codec("PCMU", 0, 8_000)}

FIELDS = ("media_time", "call", "start", "end", "duration", "first_word", "last_word")


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of packets. The first one always comes: it is where a call's time begins."""

    loss: float = 0.0
    jitter_s: float = 0.0
    later_s: float = 0.0
    """By how much later everything is said."""


GOOD, LATER, BAD = Line(), Line(later_s=LATER_S), Line(loss=0.05, jitter_s=0.03)

Piece = tuple[Samples | int, Origin]
"""Samples, or how many of silence; and whence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=int, default=40, help="clips of each set (default: 40)")
    parser.add_argument("--seeds", type=int, default=10, help="bad lines for each call (default: 10)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All calls over all lines."""
    return asyncio.run(_measure(load("clean", "digits", limit=options.limit), options.seeds))


async def _measure(clips: Sequence[Clip], seeds: int) -> dict[str, Any]:
    calls = [clips[at : at + CLIPS_A_CALL] for at in range(0, len(clips), CLIPS_A_CALL)]
    speech = demo_speech(Instrument(), {})
    bad, later = _Comparison(), _Comparison()
    try:
        with tqdm(total=len(calls) * (seeds + 2), unit="call") as bar:
            for number, call in enumerate(calls):
                good = await _hear(speech, call, GOOD, 0)
                bar.update()
                later.add(good, await _hear(speech, call, LATER, 0))
                bar.update()
                for seed in range(seeds):
                    bad.add(good, await _hear(speech, call, BAD, 1_000 * number + seed))
                    bar.update()
    finally:
        await speech.aclose()
    told = {"loss_5_percent_jitter_30_ms": bad.tell(), "nothing_but_11_ms_later": later.tell()}
    return {
        "marks": {
            "media_time_within_20_ms": max(bad.off["media_time"]) <= WITHIN_MS,
            "no_utterance_more_or_less": bad.uneven_calls == 0,
            **{f"{name}_p95_within_one_window": bad.p95(name) <= WINDOW_MS for name in FIELDS},
        },
        "clips": len(clips),
        "seeds": seeds,
        "lines": told,
    }


# ── A line ────────────────────────────────────────────────────────────


def arrivals(packets: Iterable[Timed], line: Line, seed: int) -> list[Timed]:
    """When each packet arrives, and those that do; the same for the same seed."""
    chance, came = np.random.default_rng(seed), list[Timed]()
    for number, packet in enumerate(packets):
        is_lost, delay_s = chance.random() < line.loss, chance.uniform(0, line.jitter_s)
        if number == 0 or not is_lost:
            came.append(Timed(packet.at_s + delay_s, packet.data))
    return sorted(came, key=lambda packet: packet.at_s)


def receive(came: Sequence[Timed]) -> list[Piece]:
    """What a receiver makes of them, in order. Time is that of the packets."""
    pieces = list[Piece]()

    def take(what: Samples | int, origin: Origin) -> None:
        pieces.append((what, origin))

    receiver = AudioReceiver(PCMU, take, silence=take, instrument=Instrument(), local_ssrc=1, now=0.0)
    waiting = [(packet.at_s, packet.data) for packet in came]
    heapq.heapify(waiting)
    now = 0.0
    while waiting:
        deadline = receiver.next_deadline()
        if deadline is not None and deadline <= waiting[0][0]:
            now = max(now, deadline)
            receiver.handle_timer(now)
            continue
        now, data = heapq.heappop(waiting)
        receiver.receive_rtp(data, now)
    receiver.flush(now)
    return pieces


def _compose(clips: Sequence[Clip], line: Line) -> Samples:
    silence = np.zeros(round(BEFORE_S * SAMPLE_RATE), np.float32)
    parts = [part for clip in clips for part in (silence, clip.audio())]
    after, later = (np.zeros(round(s * SAMPLE_RATE), np.float32) for s in (AFTER_S, line.later_s))
    return np.concatenate([later, *parts, after])


# ── What is understood over it ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Transcript:
    """Of one call."""

    finals: list[TranscriptFinal]
    media_ms: float
    later_ms: float

    @property
    def span_ms(self) -> float:
        """From the start of the first utterance to the end of the last."""
        return self.finals[-1].audio_end_ms - self.finals[0].audio_start_ms if self.finals else 0.0

    def times(self) -> list[dict[str, float]]:
        """Of each utterance, ms from where the call would have begun if nothing had been said later."""
        return [self._times(final) for final in self.finals]

    def _times(self, final: TranscriptFinal) -> dict[str, float]:
        start, end = final.audio_start_ms - self.later_ms, final.audio_end_ms - self.later_ms
        told = {"start": start, "end": end, "duration": end - start}
        if final.words:
            told["first_word"] = final.words[0].start_ms - self.later_ms
            told["last_word"] = final.words[-1].end_ms - self.later_ms
        return told


async def _hear(speech: Speech, clips: Sequence[Clip], line: Line, seed: int) -> _Transcript:
    pieces = receive(arrivals(speak(_compose(clips, line)), line, seed))
    told = list[Event]()
    session = Session(speech, told.append, transport="file")
    session.start()
    session.receive_command(Configure({"word_timestamps": True}))
    samples = 0
    for what, origin in pieces:
        if isinstance(what, int):
            session.receive_silence(what, origin)
            samples += what
        else:
            session.receive_audio(what, origin)
            samples += len(what)
        while session.backlog_s > 1:
            await asyncio.sleep(0.001)
    session.finish("end_of_file")
    async with asyncio.timeout(60):
        await session.ended
    finals = [event for event in told if isinstance(event, TranscriptFinal)]
    return _Transcript(finals, samples * 1000 / SAMPLE_RATE, line.later_s * 1000)


class _Comparison:
    """Utterances of one line against those of another."""

    def __init__(self) -> None:
        self.uneven_calls = 0
        self._utterances = self._same_words = 0
        self.off: dict[str, list[float]] = {name: [] for name in FIELDS}
        """By how much times differ, in ms."""

    def add(self, expected: _Transcript, found: _Transcript) -> None:
        """One call over both."""
        media_ms = abs((found.media_ms - found.later_ms) - (expected.media_ms - expected.later_ms))
        self.off["media_time"].append(media_ms)
        if len(expected.finals) != len(found.finals):
            self.uneven_calls += 1
            return
        self.off["call"].append(abs(found.span_ms - expected.span_ms))
        for one, other, was, is_ in zip(
            expected.finals, found.finals, expected.times(), found.times(), strict=True
        ):
            self._utterances += 1
            same = normalise(one.text) == normalise(other.text)
            self._same_words += same
            for name in FIELDS:
                # Where other words were understood, theirs are not the same ones.
                if name in was and name in is_ and (same or "word" not in name):
                    self.off[name].append(abs(is_[name] - was[name]))

    def p95(self, name: str) -> float:
        """Of what differs, in ms."""
        return percentiles(self.off[name]).get("p95", 0.0)

    def tell(self) -> dict[str, Any]:
        """By how much times differ, in ms. ``media_time`` and ``call`` (from the first start to the last
        end) are of calls, the others of utterances."""
        return {
            "utterances": self._utterances,
            "with_the_same_words": self._same_words,
            "calls_with_more_or_fewer_utterances": self.uneven_calls,
            **{name: _spread(values) for name, values in self.off.items()},
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    def share(within_ms: float) -> float:
        return round(100 * sum(value <= within_ms for value in values) / max(1, len(values)), 1)

    return {
        **percentiles(values),
        "most": max(values, default=0.0),
        f"within_{WITHIN_MS}_ms_percent": share(WITHIN_MS),
        f"within_{WINDOW_MS}_ms_percent": share(WINDOW_MS),
    }
