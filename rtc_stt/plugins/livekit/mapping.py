"""What of a session's events becomes which of LiveKit's, and when. Pure.

::

    speech.started                START_OF_SPEECH
    transcript.partial            INTERIM          all that is said and not final yet, where it is news
    transcript.eager              PREFLIGHT        likewise; the LLM may begin
    speech.resumed                INTERIM          the speaker went on
    speech.stopped                END_OF_SPEECH
    transcript.final              FINAL            the eager text to the letter, where the words are the same
    utterance.dropped             INTERIM "" where something was shown, FINAL ""
    finalized, of nothing         FINAL ""         every flush is answered
    session.started, once more    INTERIM "", END_OF_SPEECH of what was open; it is heard again

Starts and ends alternate. An utterance may start before the final of the one before it has come: then INTERIM
and PREFLIGHT hold both texts, for the framework puts what they say behind the last FINAL. A FINAL always has
an alternative: the framework takes the first one unseen. An empty one does not clear what is shown, hence
the INTERIM "".
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Protocol

from livekit.agents import LanguageCode
from livekit.agents.stt import SpeechData, SpeechEvent, SpeechEventType
from livekit.agents.types import TimedString

from rtc_stt.events import (
    Event,
    Finalized,
    SessionStarted,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.plugins.texts import same_words
from rtc_stt.stabilizer import join_texts

__all__ = ["Mapping", "Times"]

START, INTERIM, PREFLIGHT, FINAL, END = (
    SpeechEventType.START_OF_SPEECH,
    SpeechEventType.INTERIM_TRANSCRIPT,
    SpeechEventType.PREFLIGHT_TRANSCRIPT,
    SpeechEventType.FINAL_TRANSCRIPT,
    SpeechEventType.END_OF_SPEECH,
)


class Times(Protocol):
    """Where a session's media time lies."""

    def stream(self, ms: int) -> float:
        """In seconds on the framework's timeline of the stream."""

    def wall(self, ms: int) -> float | None:
        """On the wall clock, in seconds; None where that is not known."""


@dataclass(slots=True)
class _Open:
    """An utterance that has no final yet."""

    start_ms: int
    end_ms: int
    text: str = ""
    """As it was last shown."""
    eager: str | None = None
    """What stands as its preflight."""


class Mapping:
    """The state of one stream. Events are of one session after the other.

    Args:
        language: that is told where nothing was heard; that of the last transcript takes its place.
    """

    def __init__(self, times: Times, *, language: str | None = None) -> None:
        self._times = times
        self._language = language or ""
        self.session_id = ""
        """Of the present session; the framework tells it as the id of the request."""
        self._open: dict[int, _Open] = {}
        self._speaking: int | None = None  # the utterance whose end was not told yet
        self._flushes = 0  # not answered yet

    @property
    def is_speaking(self) -> bool:
        """Whether a start was told and not its end."""
        return self._speaking is not None

    def flush(self) -> None:
        """A flush was asked of the session."""
        self._flushes += 1

    def receive(self, event: Event) -> list[SpeechEvent]:
        """What follows from an event; whatever it says of utterances that are not known is skipped."""
        match event:
            case SessionStarted():
                told = self._retract(event.at_ms)
                self.session_id = event.session_id
                return told
            case SpeechStarted():
                return self._start(event)
            case TranscriptPartial() | TranscriptEager() | SpeechResumed():
                return self._show(event)
            case SpeechStopped():
                return self._stop(event.utterance_id, event.audio_end_ms)
            case TranscriptFinal() | UtteranceDropped():
                return self._conclude(event)
            case Finalized():
                self._flushes = max(0, self._flushes - 1)
                # Where it ended an utterance, the answer has just gone.
                return [self._empty_final()] if event.utterance_id is None else []
        return []

    def abandon(self) -> list[SpeechEvent]:
        """The session is lost: what is open is taken back, and who waits for a flush is answered."""
        last = max((utterance.end_ms for utterance in self._open.values()), default=0)
        told = self._retract(last)
        if self._flushes:
            self._flushes = 0
            told.append(self._empty_final())
        return told

    # ── One utterance ────────────────────────────────────────────────────────────

    def _start(self, event: SpeechStarted) -> list[SpeechEvent]:
        told = self._stop(self._speaking, event.audio_start_ms) if self._speaking is not None else []
        self._speaking = event.utterance_id
        self._open[event.utterance_id] = _Open(event.audio_start_ms, event.audio_start_ms)
        start = self._event(START)
        start.speech_start_time = self._times.wall(event.audio_start_ms)
        return [*told, start]

    def _show(self, event: TranscriptPartial | TranscriptEager | SpeechResumed) -> list[SpeechEvent]:
        utterance = self._open.get(event.utterance_id)
        if utterance is None:
            return []
        match event:
            case TranscriptPartial() if utterance.eager is not None:
                return []  # it was under way; it would void a preflight that holds
            case TranscriptPartial():
                is_news = event.text != utterance.text
                utterance.text, utterance.end_ms = event.text, event.audio_end_ms
                self._language = event.language or self._language
                if not is_news:
                    return []
            case TranscriptEager() if event.text:
                utterance.text = utterance.eager = event.text
                utterance.end_ms = event.at_ms
                return [self._event(PREFLIGHT, self._shown())]
            case SpeechResumed() if utterance.eager is not None:
                utterance.eager = None
            case _:
                return []
        return [self._event(INTERIM, self._shown())]

    def _stop(self, utterance_id: int | None, end_ms: int) -> list[SpeechEvent]:
        if utterance_id is None or utterance_id != self._speaking:
            return []
        self._speaking = None
        end = self._event(END)
        end.speech_end_time = self._times.wall(end_ms)
        return [end]

    def _conclude(self, event: TranscriptFinal | UtteranceDropped) -> list[SpeechEvent]:
        utterance = self._open.pop(event.utterance_id, None)
        if utterance is None:
            return []
        final, end_ms = self._empty_final(), utterance.end_ms
        if isinstance(event, TranscriptFinal):
            self._language, end_ms = event.language or self._language, event.audio_end_ms
            final = self._event(FINAL, self._final_data(event, utterance.eager))
            final.speech_start_time = self._times.wall(event.audio_start_ms)
            final.speech_end_time = self._times.wall(event.audio_end_ms)
        rest = self._event(INTERIM, self._shown())  # of those who spoke since
        if utterance.text and not final.alternatives[0].text:
            told = [rest, final]
        else:  # which clears what is shown
            told = [final, rest] if rest.alternatives[0].text else [final]
        return [*told, *self._stop(event.utterance_id, end_ms)]

    def _retract(self, end_ms: int) -> list[SpeechEvent]:
        """Nothing that is open will get a final."""
        was_shown = any(utterance.text for utterance in self._open.values())
        self._open.clear()
        told = [self._event(INTERIM, self._shown())] if was_shown else []
        return [*told, *self._stop(self._speaking, end_ms)]

    # ── What is told ────────────────────────────────────────────────────────────

    def _event(self, kind: SpeechEventType, data: SpeechData | None = None) -> SpeechEvent:
        return SpeechEvent(kind, request_id=self.session_id, alternatives=[data] if data else [])

    def _empty_final(self) -> SpeechEvent:
        return self._event(FINAL, SpeechData(language=LanguageCode(self._language), text=""))

    def _shown(self) -> SpeechData:
        """All that is said and not final yet."""
        data = SpeechData(
            language=LanguageCode(self._language),
            text=join_texts(utterance.text for utterance in self._open.values()),
        )
        if self._open:
            data.start_time = self._times.stream(min(u.start_ms for u in self._open.values()))
            data.end_time = self._times.stream(max(u.end_ms for u in self._open.values()))
        return data

    def _final_data(self, event: TranscriptFinal, eager: str | None) -> SpeechData:
        stream = self._times.stream
        words = [
            TimedString(
                word.word.strip(),
                start_time=stream(word.start_ms),
                end_time=stream(word.end_ms),
                confidence=word.probability,
                start_time_offset=stream(0),
            )
            for word in event.words
        ]
        return SpeechData(
            language=LanguageCode(self._language),
            text=eager if eager is not None and same_words(eager, event.text) else event.text,
            start_time=stream(event.audio_start_ms),
            end_time=stream(event.audio_end_ms),
            confidence=event.confidence,
            words=words or None,
            metadata=_metadata(event),
        )


def _metadata(event: TranscriptFinal) -> dict[str, Any]:
    """How the final came about, and how long it took."""
    fast = event.route.fast
    return {
        "utterance_id": event.utterance_id,
        "model": event.model,
        "tier": str(event.tier),
        "route": {
            "decision": str(event.route.decision),
            "reasons": [str(reason) for reason in event.route.reasons],
            "fast_confidence": fast.confidence if fast else None,
        },
        "timing": dataclasses.asdict(event.timing),
        "language_probability": event.language_probability,
        "avg_logprob": event.avg_logprob,
        "no_speech_prob": event.no_speech_prob,
        "compression_ratio": event.compression_ratio,
        "concealed_ms": event.concealed_ms,
        "lost_ms": event.lost_ms,
    }
