"""What is said to every way, and what has to come of it. Pure data, made from recordings of anyone."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.noises import coloured
from rtc_stt.testing.conformance.way import Trait

__all__ = ["Conversation", "Fault", "Flush", "Play", "Recording", "Step", "conversations"]

LEAD_S = 0.3
"""Before the first word: models lose a syllable with which a recording begins."""

PAUSE_S = 0.9
"""Between turns: longer than the hangover of 500 ms that ways ask for, and the tail of a detector."""

NOTICE_S = 10.0
"""Until a client notices that its connection is dead; nobody tells it."""

GAP_S = 0.12
"""Between two sentences of one turn: no detector takes this for a pause."""

WORDS_PER_CUT = 3
"""A word that is cut in two may be two other words, and each half may draw its neighbour along."""

FRAME = 640
"""Bytes of 20 ms."""

BURSTS = (32,) * 50 + (6400,)
"""Bytes: 50 chunks of 1 ms and one of 200 ms. So many messages a second are taken; more have to wait."""

ODD = (1, 333, 2, 1279, 5, 641)
"""Bytes: most chunks break off within a sample."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One sentence, understood by the models of the server that is tested."""

    text: str
    audio: Samples = field(repr=False)
    """16 kHz mono in [-1, 1], shape ``(n,)``; cut to its speech but for a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Play:
    """Speak this."""

    audio: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class Flush:
    """Ask for what is heard to be committed."""


class Fault(enum.Enum):
    """What the network does, in the words of :class:`~rtc_stt.testing.tcp_proxy.TcpProxy`."""

    DROP = "drop"
    RESET = "reset"
    STALL = "stall"
    RESUME = "resume"
    REFUSE = "refuse"
    ACCEPT = "accept"
    DARKEN = "darken"
    DEAFEN = "deafen"
    """What the server says vanishes; it still hears."""


Step = Play | Flush | Fault


@dataclass(frozen=True, slots=True)
class Conversation:
    """See above."""

    name: str
    steps: tuple[Step, ...] = field(repr=False)
    said: tuple[str, ...] = ()
    """The sentences, in order."""
    turns: int | None = None
    """How many finals with words there must be; None where that is open."""
    needs: frozenset[Trait] = frozenset()
    """Of a way: others are spared it."""
    spares: frozenset[Trait] = frozenset()
    """Who has one of these is spared it too."""
    cuts: int = 0
    """Words that may be misheard because something falls in their middle; see :data:`WORDS_PER_CUT`."""
    chunks: tuple[int, ...] = (FRAME,)
    """Sizes of what is pushed at a time, in bytes, over and over."""

    @property
    def flushes(self) -> int:
        """How many are asked for."""
        return sum(isinstance(step, Flush) for step in self.steps)

    @property
    def breaks(self) -> bool:
        """Whether a proxy has to stand between."""
        return any(isinstance(step, Fault) for step in self.steps)

    @property
    def seconds(self) -> float:
        """Of audio."""
        return sum(len(step.audio) for step in self.steps if isinstance(step, Play)) / SAMPLE_RATE

    def suits(self, traits: frozenset[Trait]) -> bool:
        """Whether a way with these traits is asked to hold it."""
        return self.needs <= traits and not self.spares & traits


def conversations(recordings: Sequence[Recording]) -> list[Conversation]:
    """All of them. The first three recordings are used, short ones do best.

    Raises:
        ValueError: there are fewer.
    """
    if len(recordings) < 3:
        raise ValueError("three recordings are needed")
    a, b, c = recordings[:3]
    return [
        *_plain(a, b, c),
        *_flushed(a, b),
        *_chunked(b),
        *_broken(a, b),
    ]


def _plain(a: Recording, b: Recording, c: Recording) -> list[Conversation]:
    noise = coloured(2.5, seed=7, power=1) * 0.3
    turns = [part for one in (b, c) for part in (one.audio, _quiet(PAUSE_S))]
    return [
        Conversation("one sentence", _play(a.audio, _quiet(PAUSE_S)), (a.text,), 1),
        Conversation("several turns", _play(a.audio, _quiet(PAUSE_S), *turns), (a.text, b.text, c.text), 3),
        Conversation("stop in mid-speech", _play(a.audio), (a.text,), 1),
        Conversation("stop in mid-word", _cut(b, 2)[:1], (b.text,), 1, cuts=len(b.text.split())),
        Conversation("silence only", (Play(_quiet(2.0)),), (), 0),
        Conversation("noise only", (Play(noise.astype(np.float32)),), (), 0),
        Conversation("no audio at all", (), (), 0),
    ]


def _flushed(a: Recording, b: Recording) -> list[Conversation]:
    """A sentence is flushed 120 ms after its end: the hangover runs, the turn is open, no word is cut."""
    needs = frozenset({Trait.FLUSH})
    first, rest = _play(a.audio, _quiet(GAP_S)), _play(b.audio, _quiet(PAUSE_S), lead_s=GAP_S)
    both = (a.text, b.text)
    return [
        Conversation("flush in mid-turn", (*first, Flush(), *rest), both, 2, needs),
        Conversation("two flushes", (*first, Flush(), Flush(), *rest), both, 2, needs | {Trait.FLUSHES}),
        Conversation("flush in mid-word", _cut(a, 2), (a.text,), None, needs, cuts=WORDS_PER_CUT),
        Conversation(
            "flushes in mid-speech",
            _cut(a, 5),
            (a.text,),
            None,
            needs | {Trait.FLUSHES},
            cuts=4 * WORDS_PER_CUT,
        ),
        Conversation(
            "flush in silence",
            (
                Play(_quiet(0.3)),
                Flush(),
                *_play(a.audio, _quiet(PAUSE_S)),
                Flush(),
                Play(_quiet(0.2)),
                Flush(),
            ),
            (a.text,),
            1,
            needs,
        ),
        Conversation(
            "flush before any audio", (Flush(), *_play(a.audio, _quiet(PAUSE_S))), (a.text,), 1, needs
        ),
    ]


def _chunked(b: Recording) -> list[Conversation]:
    steps, said = _play(b.audio, _quiet(PAUSE_S)), (b.text,)
    return [
        Conversation("chunks of 1 ms", steps, said, 1, chunks=BURSTS),
        Conversation("chunks of 10 ms", steps, said, 1, chunks=(320,)),
        Conversation("chunks of 100 ms", steps, said, 1, chunks=(3200,)),
        Conversation("odd bytes", steps, said, 1, chunks=ODD, spares=frozenset({Trait.WHOLE_SAMPLES})),
    ]


def _broken(a: Recording, b: Recording) -> list[Conversation]:
    """The network fails in the middle of the first sentence and comes back, or another way is found."""
    half = len(a.audio) // 2
    start, end = Play(np.concatenate([_quiet(LEAD_S), a.audio[:half]])), Play(a.audio[half:])
    then = (Play(_quiet(PAUSE_S)), *_play(b.audio, _quiet(PAUSE_S)))
    needs, said = frozenset({Trait.SURVIVES_LOSS}), (a.text, b.text)

    def broken(name: str, *middle: Step, after: tuple[Step, ...] = then) -> Conversation:
        return Conversation(name, (start, *middle, *after), said, 2, needs)

    return [
        broken("connection dropped", Fault.DROP, end),
        broken("connection reset, twice", Fault.RESET, end, after=(Play(_quiet(0.3)), Fault.RESET, *then)),
        broken(
            "connection stalled", Fault.STALL, end, after=(Play(_quiet(PAUSE_S)), Fault.RESUME, *then[1:])
        ),
        broken(
            "server away",
            *(Fault.REFUSE, Fault.DROP, end),
            after=(Play(_quiet(PAUSE_S)), Fault.ACCEPT, *then[1:]),
        ),
        broken("connection dead", Fault.DARKEN, end, after=(*then, Play(_quiet(NOTICE_S)))),
        broken("connection half-open", Fault.DEAFEN, end, after=(*then, Play(_quiet(NOTICE_S)))),
        Conversation(
            "dropped with a flush on its way",
            (
                *_play(a.audio, _quiet(GAP_S)),
                Flush(),
                Fault.DROP,
                *_play(b.audio, _quiet(PAUSE_S), lead_s=GAP_S),
            ),
            said,
            2,
            needs | {Trait.FLUSH},
        ),
    ]


def _cut(one: Recording, pieces: int) -> tuple[Step, ...]:
    """A sentence in pieces of one length, with a flush between each two."""
    size = -(-len(one.audio) // pieces)
    parts = [Play(one.audio[start : start + size]) for start in range(0, len(one.audio), size)]
    flushed = [step for part in parts[1:] for step in (Flush(), part)]
    return Play(np.concatenate([_quiet(LEAD_S), parts[0].audio])), *flushed, Play(_quiet(PAUSE_S))


def _quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def _play(*parts: Samples, lead_s: float = LEAD_S) -> tuple[Step, ...]:
    return (Play(np.concatenate([_quiet(lead_s), *parts])),)
