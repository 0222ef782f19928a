"""Somebody who speaks, as the decode queue sees it: what a recognizer asks for, and when. Pure.

The times are those of :mod:`rtc_stt.recognizer` and :mod:`rtc_stt.utterance`, with a perfect detector: the
first partial after 160 ms of speech, the next ones soon until something is shown; an eager final in each
pause; a final at the endpoint, which the eager one becomes; a commit in long speech. Pauses within a turn are
shorter than the hangover.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, WINDOW, Samples
from rtc_stt.config import StreamOptions
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.load import Effort
from rtc_stt.simulation.manner import Manner, Turn
from rtc_stt.simulation.timeline import Timeline
from rtc_stt.utterance import EAGER_PARTIAL_INTERVAL_MS, FIRST_PARTIAL_MS

__all__ = ["Speaker", "Waits"]

WINDOW_S = WINDOW / SAMPLE_RATE
"""The detector answers for so much at once: nothing is asked for in between."""

COMMIT_AT = 1.25
"""Times ``commit_after_s``: so long a segment is, about, when a pause is found in which to commit."""

KEPT_S = 2.0
"""Behind a commit."""

NEARLY_S = 1e-6
"""Times are sums of windows, and these are no round numbers."""

_SILENCE: Samples = np.broadcast_to(np.zeros(1, np.float32), 60 * SAMPLE_RATE)
"""Its length is all that counts, and it takes no memory."""


@dataclass(slots=True)
class Waits:
    """What speakers have had to wait for, in seconds."""

    finals: list[float] = field(default_factory=list)
    """From the endpoint to the final; 0 where it was ready."""
    final_decodes: list[float] = field(default_factory=list)
    """From the request for one, mostly before the endpoint, to its answer; also of those in mere pauses."""
    partials: list[float] = field(default_factory=list)
    """From the request to its answer."""

    def clear(self) -> None:
        """Begin anew."""
        self.finals.clear()
        self.final_decodes.clear()
        self.partials.clear()


@dataclass(slots=True)
class _Turn:
    """An utterance under way."""

    number: int
    spoken: list[tuple[float, float]]
    """From when to when the detector hears speech."""
    audio_from: float
    """Where the open segment begins."""
    voice_ends: float = 0.0
    """Behind this there is silence, as the endpointer finds."""
    asked_s: float = 0.0
    """Audio of the request for its final."""
    is_shown: bool = False
    """Whether there was a partial."""
    final: int | None = None
    """Its revision, once it was asked for."""
    endpoint: float | None = None
    answered: bool = False
    is_doubted: bool = False
    tier: Tier = Tier.FAST
    """That is asked for the final at present."""


class Speaker:
    """One session.

    Args:
        submit: queues a request.
        effort: what may be asked for at present.
        deadline_s: so long the accurate tier is waited for behind the endpoint.
    """

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        *,
        manner: Manner,
        options: StreamOptions,
        chance: random.Random,
        submit: Callable[[DecodeRequest], None],
        effort: Callable[[], Effort],
        waits: Waits,
        deadline_s: float,
    ) -> None:
        self.name = name
        self._time = timeline
        self._manner = manner
        self._options = options
        self._chance = chance
        self._submit = submit
        self._effort = effort
        self._waits = waits
        self._deadline_s = deadline_s
        self._revision = 0
        self._turn: _Turn | None = None  # that is spoken
        self._closing: dict[int, _Turn] = {}  # that have ended, and whose final is not there
        self._count = 0
        self._taken = 0.0  # audio up to here belongs to turns that are over
        self._is_leaving = False

    @property
    def waits_for(self) -> int:
        """Finals that have been spoken and are not there."""
        return len(self._closing)

    def begin(self) -> None:
        """Speak from a time at random on."""
        self._time.after(self._chance.uniform(0, 2 * self._manner.draw_silence(self._chance)), self._start)

    def leave(self) -> None:
        """Finish the turn, and begin no other."""
        self._is_leaving = True

    # ── What happens ────────────────────────────────────────────────────────────

    def _start(self) -> None:
        """The first window of a turn begins. All that depends on nothing else is set here."""
        if self._is_leaving:
            return
        now = self._time.now
        self._count += 1
        preroll_s = self._options.endpointing.preroll_ms / 1000
        turn = _Turn(self._count, [], max(self._taken, now - preroll_s))
        turn.is_doubted = self._chance.random() < self._manner.doubted
        self._turn = turn
        self._say(turn, self._manner.draw_turn(self._chance))
        if self._options.partials:
            self._ask_for_partial_from(turn, now + _grid(FIRST_PARTIAL_MS / 1000))
        self._at(turn.voice_ends + self._speculate_s(), lambda: self._speculate(turn))
        self._at(turn.voice_ends + self._hangover_s(), lambda: self._end(turn))

    def _say(self, turn: _Turn, said: Turn) -> None:
        """Lay a turn out in time."""
        at = self._time.now
        for stretch in said:
            ends = at + stretch.speech_s
            turn.spoken.append((at, ends))
            turn.voice_ends = ends - min(stretch.faint_s, stretch.speech_s)
            at = ends + stretch.gap_s
            pause_at = max(turn.voice_ends + self._speculate_s(), ends + WINDOW_S)
            if stretch is not said[-1] and pause_at <= at:
                self._at(pause_at, lambda: self._pause(turn))

    def _at(self, when: float, call: Callable[[], None]) -> None:
        self._time.after(max(0.0, when - self._time.now), call)

    def _speculate_s(self) -> float:
        return _grid(self._options.endpointing.speculate_after_ms / 1000)

    def _hangover_s(self) -> float:
        return _grid(self._options.endpointing.min_silence_ms / 1000)

    def _ask_for_partial_from(self, turn: _Turn, when: float) -> None:
        """At the end of the first window of speech that ends then or later, if there is one."""
        for begins, ends in turn.spoken:
            at = max(when, begins + WINDOW_S)
            if at <= ends + NEARLY_S:
                self._at(at, lambda: self._ask_for_partial(turn))
                return

    def _ask_for_partial(self, turn: _Turn) -> None:
        if turn is not self._turn:
            return
        now = self._time.now
        length = now - turn.audio_from
        if length > COMMIT_AT * self._options.commit_after_s:
            self._commit(turn, now - KEPT_S)
            length = KEPT_S
        self._revision += 1
        self._ask(turn, self._revision, length, Urgency.PARTIAL)
        interval_ms = self._options.partial_interval_ms
        if not turn.is_shown:
            interval_ms = min(interval_ms, EAGER_PARTIAL_INTERVAL_MS)
        self._ask_for_partial_from(turn, now + _grid(interval_ms / 1000 * self._effort().partial_stretch))

    def _commit(self, turn: _Turn, at: float) -> None:
        """What lies before is decoded for good, while the turn goes on."""
        self._revision += 1
        self._ask(turn, self._revision, at - turn.audio_from, Urgency.FINAL)
        turn.audio_from = at

    def _pause(self, turn: _Turn) -> None:
        """An eager final that nobody will want: the speaker goes on."""
        if turn is self._turn and self._effort().eager:
            self._revision += 1
            self._ask(turn, self._revision, self._time.now - turn.audio_from, Urgency.EAGER)

    def _speculate(self, turn: _Turn) -> None:
        if self._effort().eager:
            self._ask_for_final(turn, Urgency.EAGER)

    def _end(self, turn: _Turn) -> None:
        """The endpoint."""
        self._turn = None
        turn.endpoint = self._taken = self._time.now
        if turn.answered:
            self._conclude(turn)
        else:
            self._closing[turn.number] = turn
            self._ask_for_final(turn, Urgency.FINAL)
            self._time.after(self._deadline_s, lambda: self._give_up(turn))
        self._at(turn.spoken[-1][1] + self._manner.draw_silence(self._chance), self._start)

    def _give_up(self, turn: _Turn) -> None:
        """The accurate tier is waited for no longer: the fast text stands."""
        if not turn.answered and turn.tier is Tier.ACCURATE:
            turn.answered = True
            self._conclude(turn)

    def _ask_for_final(self, turn: _Turn, urgency: Urgency) -> None:
        if turn.final is None:
            self._revision += 1
            turn.final, turn.asked_s = self._revision, self._time.now - turn.audio_from
        self._ask(turn, turn.final, turn.asked_s, urgency, turn.tier)

    def _ask(
        self, turn: _Turn, revision: int, length_s: float, urgency: Urgency, tier: Tier = Tier.FAST
    ) -> None:
        audio = _SILENCE[: max(1, round(length_s * SAMPLE_RATE))]
        start = round(max(0.0, turn.audio_from) * SAMPLE_RATE)
        self._submit(DecodeRequest(self.name, turn.number, revision, tier, urgency, audio, start))

    # ── Answers ────────────────────────────────────────────────────────────

    def receive(self, request: DecodeRequest) -> None:
        """A request has been answered."""
        if request.urgency is Urgency.PARTIAL:
            if self._turn and self._turn.number == request.utterance_id:
                self._turn.is_shown = True
            return
        turn = self._closing.get(request.utterance_id) or self._turn
        if turn is None or turn.number != request.utterance_id or turn.final is None:
            return
        if turn.final != request.revision or request.tier is not turn.tier or turn.answered:
            return
        if turn.is_doubted and request.tier is Tier.FAST and self._effort().redecode:
            turn.tier = Tier.ACCURATE
            self._ask_for_final(turn, Urgency.EAGER if turn.endpoint is None else Urgency.FINAL)
            return
        turn.answered = True
        if turn.endpoint is not None:
            self._conclude(turn)

    def drop(self, request: DecodeRequest) -> None:
        """It will not be answered: overtaken, or shed."""
        if request.tier is Tier.ACCURATE:
            turn = self._closing.get(request.utterance_id) or self._turn
            if turn and turn.number == request.utterance_id:
                self.receive(request)  # the fast text stands

    def _conclude(self, turn: _Turn) -> None:
        self._closing.pop(turn.number, None)
        assert turn.endpoint is not None
        self._waits.finals.append(self._time.now - turn.endpoint)


def _grid(seconds: float) -> float:
    """Up to the end of the window that it falls in."""
    return math.ceil(seconds / WINDOW_S - 1e-9) * WINDOW_S
