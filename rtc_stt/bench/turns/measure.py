"""From what was seen of a scene to one row for each of its turns, by the words of ``docs/turns.md``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtc_stt.bench.turns.attribution import attribute, attribute_by_time, latest_begun
from rtc_stt.bench.turns.display import Show, Standing, displays, erased, seen, standing
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.told import Failed, Partial
from rtc_stt.bench.turns.utterances import Utterance, sort
from rtc_stt.bench.words import align, char_errors, normalise, word_errors

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one scene gave."""

    rows: tuple[TurnRow, ...]
    """In the order of its turns."""
    extra_finals: int = 0
    """Finals with text in them that have no word of any turn."""
    failures: int = 0
    """1 where the line failed."""


def measure(
    observation: Observation, *, patience_s: float, number: int = 0, cost_only: bool = False
) -> Measured:
    """The rows of a scene.

    A turn of a broken-off scene that would have timed out gets none: nobody knows what would have come.

    Args:
        patience_s: how long was waited for a final; a turn that timed out counts with it.
        number: which time the scene was played, from 0.
        cost_only: texts mean nothing (models with random weights): finals go by time, no word is right or
            wrong, and any partial with text is the first.
    """
    scene = _Scene(observation, patience_s, number, cost_only)
    utterances = sort(observation.heard)
    extra = scene.assign(utterances)
    rows = (scene.row(index, utterances) for index in range(len(observation.scene.turns)))
    failures = int(any(isinstance(item.told, Failed) for item in observation.heard))
    return Measured(tuple(row for row in rows if row is not None), extra, failures)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the figures of all turns of a scene need."""

    seen: Observation
    patience_s: float
    number: int
    cost_only: bool

    def ms(self, at: float) -> float:
        """A stamp as ms of the scene."""
        return (at - self.seen.begun) * 1000

    def assign(self, utterances: Sequence[Utterance]) -> int:
        """Sets the turn of each utterance: that of its final, or else the latest begun.

        Returns:
            How many finals are extra.
        """
        turns = self.seen.scene.turns
        final = self.with_final(utterances)
        receipts = [self.ms(one.final_at) for one in final]
        if self.cost_only:
            found = attribute_by_time(turns, receipts)
        else:
            found = attribute(turns, [(at, _text(one)) for at, one in zip(receipts, final, strict=True)])
        for one in utterances:
            one.turn = latest_begun(turns, self.ms(one.begun))
        for one, turn in zip(final, found, strict=True):
            one.is_extra = turn is None
            one.turn = one.turn if turn is None else turn
        return found.count(None)

    def with_final(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """By receipt of their final. One without a word in it says that there was nothing."""
        ended = [one for one in utterances if one.final and (self.cost_only or normalise(one.final.text))]
        return sorted(ended, key=lambda one: one.final_at)

    def row(self, index: int, utterances: Sequence[Utterance]) -> TurnRow | None:
        """All of one turn; None where it was broken off."""
        turn = self.seen.scene.turns[index]
        around = [one for one in utterances if one.turn == index]
        own = [one for one in around if not one.is_extra]
        final = self.with_final(own)
        finals = [self.ms(one.final_at) for one in final]
        is_timed_out = not any(0 <= at - turn.end_ms <= self.patience_s * 1000 for at in finals)
        if is_timed_out and not self._was_waited_for(turn):
            return None
        endpoints = sorted(self.ms(at) for one in final or own for at in one.endpoints)
        cuts = [*finals, *(self.ms(at) for one in own for at in one.endpoints)]
        heard = " ".join(map(_text, final))
        words, chars = ((0, 0), (0, 0)) if self.cost_only else _errors(turn.text, heard)
        shows = displays(own)
        stood = standing(seen(shows), normalise(heard))
        return TurnRow(
            scene=self.seen.scene.id,
            turn=turn.id,
            set=self.seen.scene.set,
            speaker=self.seen.speaker,
            round=self.number,
            language=turn.language,
            said=turn.text,
            heard=heard,
            finals=len(finals),
            is_timed_out=is_timed_out,
            ttfs_ms=self.patience_s * 1000 if is_timed_out else finals[-1] - turn.end_ms,
            eou_ms=endpoints[-1] - turn.end_ms if endpoints else None,
            endpoint_to_final_ms=finals[-1] - endpoints[-1] if endpoints and not is_timed_out else None,
            is_cut_off=len(finals) > 1 or any(at < turn.end_ms for at in cuts),
            pause_ms=max((pause.length_ms for pause in turn.pauses), default=0),
            ttfp_ms=self._first_partial(turn, shows),
            has_partials=any(show.is_partial for show in shows),
            wel_ms=() if self.cost_only else self._emission(turn, normalise(heard), stood),
            partial_lag_ms=self._lags(own),
            erased_words=erased(seen(shows)),
            shown_words=len(stood),
            revised_words=sum(word.is_revised for word in stood),
            retractions=sum(one.retractions() for one in around),
            word_errors=words[0],
            words=words[1],
            char_errors=chars[0],
            chars=chars[1],
            degraded_finals=sum(one.final is not None and one.final.degraded for one in final),
        )

    def _was_waited_for(self, turn: Turn) -> bool:
        """Played to its end, or until the line failed, or until time was up: so no final is known to come."""
        if self.seen.is_complete or self.ms(self.seen.ended) >= turn.end_ms + self.patience_s * 1000:
            return True
        return any(isinstance(item.told, Failed) for item in self.seen.heard)

    def _first_partial(self, turn: Turn, shows: Sequence[Show]) -> float | None:
        said = normalise(turn.text)
        for show in shows:
            after = self.ms(show.at) - turn.start_ms
            if show.is_partial and after >= 0 and (self.cost_only or show.words[:1] == tuple(said[:1])):
                return after
        return None

    def _emission(self, turn: Turn, heard: Sequence[str], stood: Sequence[Standing]) -> tuple[float, ...]:
        spoken = [(word, item.end_ms) for item in turn.words for word in normalise(item.word)]
        said = [word for word, _ in spoken]
        return tuple(
            self.ms(since) - spoken[i][1]
            for i, j in align(said, heard)
            if i is not None and j is not None and said[i] == heard[j]
            if (since := stood[j].since) is not None
        )

    def _lags(self, utterances: Sequence[Utterance]) -> tuple[float, ...]:
        return tuple(
            self.ms(shown.at) - (shown.told.audio_end_ms - self.seen.line_ms)
            for one in utterances
            for shown in one.shown
            if isinstance(shown.told, Partial) and shown.told.audio_end_ms is not None
        )


def _text(one: Utterance) -> str:
    return one.final.text.strip() if one.final else ""


def _errors(said: str, heard: str) -> tuple[tuple[int, int], tuple[int, int]]:
    return word_errors(said, heard), char_errors(said, heard)
