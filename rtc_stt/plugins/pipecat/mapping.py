"""What of our events becomes which frame of Pipecat's, and when. Pure.

::

    event                 Pipecat decides about turns        the server does (``server_turns``)
    ────────────────────  ─────────────────────────────────  ──────────────────────────────────────────
    speech.started        –                                  TurnBegins, where no turn is open
    transcript.partial    Interim                            Interim
    transcript.eager      –                                  Eager
    speech.resumed        –                                  EagerIsVoid, after an Eager
    transcript.final      Committed                          Committed; TurnEnds, where nothing else is open
    utterance.dropped     –                                  Committed (blank) and TurnEnds, likewise
    finalized             Committed (blank), where no        –
                          final answered the request
    session.started anew  EagerIsVoid, after an Eager: it hears again all that is in no final

A turn ends with the final and not with ``speech.stopped`` before it: Pipecat's strategies act at once on a
stop that has its transcript, and half a second later on one that has not. Speech that starts before the final
of the utterance before it goes on with the turn.

A blank answer is a space: Pipecat's aggregator leaves it out of the text, and its strategies take it for the
transcript that they wait for. Nothing, or an empty text, lets them wait for a watchdog of 5 s.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.events import (
    Event,
    Finalized,
    SessionStarted,
    SpeechResumed,
    SpeechStarted,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.plugins.texts import same_words

__all__ = [
    "BLANK",
    "Act",
    "Committed",
    "Eager",
    "EagerIsVoid",
    "Interim",
    "Mapping",
    "TurnBegins",
    "TurnEnds",
]

BLANK = " "
"""The text of an answer that has no words."""


@dataclass(frozen=True, slots=True)
class Interim:
    """``InterimTranscriptionFrame``: the utterance so far, as a whole."""

    text: str
    language: str
    event: TranscriptPartial


@dataclass(frozen=True, slots=True)
class Committed:
    """``TranscriptionFrame``: text that stands, of what was not committed before."""

    text: str
    finalized: bool
    """Whether nothing more comes of what was spoken before the request, or in this turn."""
    language: str | None = None
    settles_eager: bool = False
    """Whether it is the final that an eager text foretold."""
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Eager:
    """``EagerTranscriptionFrame``: the turn seems to be over, with this text."""

    text: str
    language: str | None
    event: TranscriptEager


@dataclass(frozen=True, slots=True)
class EagerIsVoid:
    """``EagerEndOfTurnCancelFrame``: it is not over."""


@dataclass(frozen=True, slots=True)
class TurnBegins:
    """``ProposedUserStartedSpeakingFrame``."""


@dataclass(frozen=True, slots=True)
class TurnEnds:
    """``ProposedUserStoppedSpeakingFrame``."""


Act = Interim | Committed | Eager | EagerIsVoid | TurnBegins | TurnEnds


@dataclass(slots=True)
class _Utterance:
    """What is known of one that has no final yet."""

    text: str = ""
    shown: str = ""
    """By the last interim."""
    language: str | None = None
    eager: str | None = None
    """The eager text, where it was told and is not void."""


class Mapping:
    """See above.

    Args:
        server_turns: who decides when a turn begins and ends.
    """

    def __init__(self, *, server_turns: bool) -> None:
        self._server_turns = server_turns
        self._open: dict[int, _Utterance] = {}
        self._in_turn = False
        self._is_wanted = False  # an answer to a finalize, for speech that has not begun anew since
        self._asked = 0  # requests that ``finalized`` has not acknowledged

    @property
    def in_turn(self) -> bool:
        """Whether a turn has begun that has not ended."""
        return self._in_turn

    def ask(self) -> None:
        """A finalize is about to be requested: what was spoken must be answered for."""
        self._is_wanted = True
        self._asked += 1

    def forgo(self) -> None:
        """Speech goes on: the answer to an earlier request says nothing about it."""
        self._is_wanted = False

    def tell(self, event: Event) -> list[Act]:
        """What follows from an event of the session, in order."""
        match event:
            case SessionStarted():
                return self._begin_anew()
            case SpeechStarted():
                return self._start(event.utterance_id)
            case TranscriptPartial():
                return self._partial(event)
            case TranscriptEager():
                return self._eager(event)
            case SpeechResumed():
                return self._void(self._open.get(event.utterance_id))
            case TranscriptFinal():
                return self._final(event)
            case UtteranceDropped():
                return [*self._void(self._open.pop(event.utterance_id, None)), *self._end("")]
            case Finalized():
                self._asked = max(0, self._asked - 1)
                return self._answer() if not self._asked else []
        return []

    def abandon(self) -> list[Act]:
        """There is no session any more: what had been understood stands for the finals that do not come."""
        self._asked = 0
        is_wanted, self._is_wanted = self._is_wanted, False  # the last act answers
        acts: list[Act] = []
        while self._open:
            utterance = self._open.pop(next(iter(self._open)))
            acts += [*self._void(utterance), *self._end(utterance.text.strip(), utterance.language)]
        if self._in_turn:  # its utterances went with an earlier session
            acts += self._end("")
        self._is_wanted = is_wanted
        return [*acts, *self._answer()]

    # ── Events ────────────────────────────────────────────────────────────

    def _begin_anew(self) -> list[Act]:
        """Another session: what was open in the one before is told again, and the turn goes on with it."""
        void = [act for utterance in self._open.values() for act in self._void(utterance)]
        self._open.clear()
        return void

    def _start(self, utterance_id: int) -> list[Act]:
        void = [act for utterance in self._open.values() for act in self._void(utterance)]
        self._open[utterance_id] = _Utterance()
        if not self._server_turns or self._in_turn:
            return void
        self._in_turn = True
        return [TurnBegins()]

    def _partial(self, event: TranscriptPartial) -> list[Act]:
        utterance = self._open.setdefault(event.utterance_id, _Utterance())
        is_news = event.text.strip() and event.text != utterance.shown
        utterance.text = utterance.shown = event.text
        utterance.language = event.language
        return [Interim(event.text, event.language, event)] if is_news else []

    def _eager(self, event: TranscriptEager) -> list[Act]:
        utterance = self._open.setdefault(event.utterance_id, _Utterance())
        if not event.text.strip():
            return []
        utterance.text = event.text
        if not self._server_turns or len(self._open) > 1:  # what is open besides belongs to the turn too
            return []
        utterance.eager = event.text
        return [Eager(event.text, utterance.language, event)]

    def _final(self, event: TranscriptFinal) -> list[Act]:
        utterance = self._open.pop(event.utterance_id, None) or _Utterance()
        text, eager = event.text, utterance.eager
        if not text.strip():
            return [*self._void(utterance), *self._end("")]
        if eager is not None and same_words(eager, text):
            text = eager  # an answer that was begun on these very words stands
        return self._end(text, event.language, event, settles_eager=eager is not None)

    # ── What an utterance leaves ────────────────────────────────────────────────────────────

    def _end(
        self,
        text: str,
        language: str | None = None,
        event: Event | None = None,
        *,
        settles_eager: bool = False,
    ) -> list[Act]:
        """One utterance is over, with text or without; perhaps a turn is too."""
        is_last = not self._open
        ends_turn = self._in_turn and is_last
        answers = self._is_wanted and is_last and bool(text)
        acts: list[Act] = []
        if text or ends_turn:
            finalized = ends_turn or answers
            acts.append(Committed(text or BLANK, finalized, language, settles_eager, event))
        if answers:
            self._is_wanted = False
        if ends_turn:
            self._in_turn = False
            acts.append(TurnEnds())
        return acts

    def _answer(self) -> list[Act]:
        if not self._is_wanted:
            return []
        self._is_wanted = False
        return [Committed(BLANK, finalized=True)]

    @staticmethod
    def _void(utterance: _Utterance | None) -> list[Act]:
        if utterance is None or utterance.eager is None:
            return []
        utterance.eager = None
        return [EagerIsVoid()]
