"""One live stream in Deepgram's words. Pure.

::

    client                      server
    binary: audio          ──▶
                           ◀──  SpeechStarted                          where ``vad_events``
                           ◀──  Results, is_final false                all that is understood and not final
    Finalize               ──▶
                           ◀──  Results, is_final, from_finalize true  perhaps without a word
                           ◀──  Results, is_final, speech_final true   one for each utterance
                           ◀──  UtteranceEnd                           silence for ``utterance_end_ms``
    CloseStream            ──▶
                           ◀──  what is open, Metadata, close 1000

Final texts are appended, so only what has its final or drop is ``is_final``; all else is told again whenever
it changes. A final that a ``Finalize`` has caused says so itself, since clients take that one for the answer:
while a ``Finalize`` is on its way, a final waits for the event behind it, which tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rtc_stt.commands import Configure, Finalize, Ping, Stop
from rtc_stt.events import (
    Event,
    Finalized,
    Pong,
    SessionEnded,
    SessionError,
    SessionStarted,
    SpeechStarted,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from signaling.dialects.deepgram.errors import close_words
from signaling.dialects.deepgram.messages import (
    Close,
    KeepAlive,
    Keyterms,
    Wrong,
    WrongKeyterms,
    read_message,
)
from signaling.dialects.deepgram.messages import Finalize as Flush
from signaling.dialects.deepgram.query import Live
from signaling.dialects.deepgram.results import (
    CHANNELS,
    Message,
    alternative,
    encode,
    model_info,
    model_uuid,
    results,
    seconds,
)
from signaling.dialects.dialect import Act, Ask, Beginning, Hear, Say

__all__ = ["ASK_EVERY_S", "Deepgram"]

ASK_EVERY_S = 0.1
"""While an ``UtteranceEnd`` is due, so much audio between two looks how far the session has heard."""


@dataclass(slots=True)
class _Open:
    """An utterance that has no final yet."""

    start_ms: int
    end_ms: int
    text: str = ""
    stable_chars: int = 0


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """How an utterance ended, not told yet."""

    utterance_id: int
    heard: Message
    start_ms: int
    end_ms: int
    model: str


class Deepgram:
    """See :class:`~signaling.dialects.dialect.Dialect`."""

    resumes = False
    tick: str | None = None

    def __init__(self, live: Live, beginning: Beginning) -> None:
        self._live = live
        self._request_id = beginning.request_id
        self._created = datetime.fromtimestamp(beginning.now, UTC)
        self._model = ""
        self._open: dict[int, _Open] = {}  # by utterance, in the order of speech
        self._concluded: _Conclusion | None = None  # waits for the event behind it
        self._finalizes = 0
        self._unanswered: set[str] = set()  # ids of finalizes
        self._last_word_end_ms: int | None = None  # until UtteranceEnd is told
        self._bytes = 0
        self._sha256 = hashlib.sha256()
        self._asked_at_s = 0.0
        self._is_closing = False
        self._has_failed = False

    # ── What the client says ────────────────────────────────────────────────────────────

    def begin(self) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return (Ask(Configure(self._live.changes)),)

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        if self._is_closing:
            return ()
        if isinstance(message, bytes):
            # No audio at all: so older clients say that they have no more.
            return self._hear(message) if message else self._close()
        match read_message(message):
            case Flush():
                self._finalizes += 1
                name = f"finalize-{self._finalizes}"
                self._unanswered.add(name)
                return (Ask(Finalize(name)),)
            case Close():
                return self._close()
            case Keyterms(terms, hotwords):
                told = {"type": "ConfigureSuccess", "request_id": self._request_id}
                if terms is None:
                    return (_say(told),)
                return Ask(Configure({"hotwords": hotwords})), _say({**told, "keyterms": list(terms)})
            case WrongKeyterms(code, why):
                told = {"request_id": self._request_id, "code": code, "description": why}
                return (_say({"type": "ConfigureFailure", **told}),)
            case Wrong(why):
                return (_say({"type": "Error", "variant": "SchemaError", "description": why}),)
            case KeepAlive():
                return ()

    def _hear(self, audio: bytes) -> Sequence[Act]:
        look = self._look()  # how far the audio was heard that came before
        self._bytes += len(audio)
        self._sha256.update(audio)
        return *look, Hear(self._live.form, audio)

    def _look(self) -> Sequence[Act]:
        """Ask how far the session has heard, where that may be the end of an utterance's silence."""
        end_s = self._utterance_end_s()
        if end_s is None or self._heard_s < max(end_s, self._asked_at_s + ASK_EVERY_S):
            return ()
        self._asked_at_s = self._heard_s
        return (Ask(Ping("utterance-end")),)

    def _close(self) -> Sequence[Act]:
        self._is_closing = True
        return (Ask(Stop()),)

    @property
    def _heard_s(self) -> float:
        """Audio that was handed on."""
        return self._bytes / self._live.form.bytes_per_second

    def _utterance_end_s(self) -> float | None:
        """When there has been silence for long enough, as far as is known."""
        if self._live.utterance_end_ms is None or self._last_word_end_ms is None or self._open:
            return None
        return seconds(self._last_word_end_ms + self._live.utterance_end_ms)

    # ── What the session tells ────────────────────────────────────────────────────────────

    def tell(self, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        if isinstance(event, Finalized):
            return self._answer(event)
        told = self._conclude()
        match event:
            case SessionStarted(models=models):
                self._model = models.get("fast") or ""
            case SpeechStarted():
                told += self._start(event)
            case TranscriptPartial(stable_chars=stable):
                told += self._show(event.utterance_id, event.text, event.audio_end_ms, stable)
            case TranscriptEager():
                told += self._show(event.utterance_id, event.text, event.at_ms, len(event.text))
            case TranscriptFinal():
                told += self._take_final(event)
            case UtteranceDropped():
                told += self._take_drop(event)
            case Pong():
                told += self._end_utterance(event)
            case SessionError():
                self._has_failed = True
                told.append(_say({"type": "Error", "variant": event.code, "description": event.message}))
            case SessionEnded() if not self._has_failed:
                told.append(_say(self._metadata()))
        return told

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return close_words(reason)

    def _start(self, event: SpeechStarted) -> list[Act]:
        self._open[event.utterance_id] = _Open(event.audio_start_ms, event.audio_start_ms)
        if not self._live.vad_events:
            return []
        timestamp = seconds(event.audio_start_ms)
        return [_say({"type": "SpeechStarted", "channel": CHANNELS, "timestamp": timestamp})]

    def _show(self, utterance_id: int, text: str, end_ms: int, stable_chars: int) -> list[Act]:
        """All that is understood and not final: of more than one utterance, where a final is late."""
        utterance = self._open.get(utterance_id)
        if utterance is None or not self._live.interim_results or utterance.text == text:
            return []
        utterance.text, utterance.end_ms, utterance.stable_chars = text, end_ms, stable_chars
        shown = [one for one in self._open.values() if one.text]
        whole = " ".join(one.text for one in shown)
        # A partial has no figures of its own: what is told is how much of it will stand.
        standing = sum(one.stable_chars for one in shown) / max(1, len(whole))
        told = results(
            alternative(whole, min(1.0, standing)),
            start_ms=shown[0].start_ms if shown else utterance.start_ms,
            end_ms=end_ms,
            request_id=self._request_id,
            model=self._model,
            is_final=False,
        )
        return [_say(told)]

    # ── Finals ────────────────────────────────────────────────────────────

    def _take_final(self, event: TranscriptFinal) -> list[Act]:
        words = event.words
        self._last_word_end_ms = words[-1].end_ms if words else event.audio_end_ms
        language = event.language if self._live.is_multilingual else None
        heard = alternative(event.text, event.confidence, words, language)
        return self._keep(
            _Conclusion(event.utterance_id, heard, event.audio_start_ms, event.audio_end_ms, event.model)
        )

    def _take_drop(self, event: UtteranceDropped) -> list[Act]:
        """A final without a word: it takes back what was shown, and ends the speech that was told of."""
        utterance = self._open.get(event.utterance_id) or _Open(event.at_ms, event.at_ms)
        return self._keep(
            _Conclusion(
                event.utterance_id, alternative("", 0.0), utterance.start_ms, event.at_ms, self._model
            )
        )

    def _keep(self, conclusion: _Conclusion) -> list[Act]:
        """Keep it for the event behind it, where that may tell that a ``Finalize`` has caused it."""
        self._open.pop(conclusion.utterance_id, None)
        self._concluded = conclusion
        # Where somebody speaks already, a Finalize would have ended that, and not this.
        return [] if self._unanswered and not self._open else self._conclude()

    def _conclude(self, *, from_finalize: bool = False) -> list[Act]:
        """Tell what has been kept, if anything."""
        kept, self._concluded = self._concluded, None
        if kept is None:
            return []
        told = results(
            kept.heard,
            start_ms=kept.start_ms,
            end_ms=kept.end_ms,
            request_id=self._request_id,
            model=kept.model,
            is_final=True,
            speech_final=self._live.has_endpointing or from_finalize,
            from_finalize=from_finalize,
        )
        return [_say(told)]

    def _answer(self, event: Finalized) -> list[Act]:
        """Each ``Finalize`` gets one answer: the final that it has caused, else one without a word."""
        self._unanswered.discard(event.id)
        # None: nothing was open any more, so what was said last is what has just been concluded.
        if self._concluded and event.utterance_id in (self._concluded.utterance_id, None):
            return self._conclude(from_finalize=True)
        told = self._conclude()
        empty = results(
            alternative("", 0.0),
            start_ms=event.at_ms,
            end_ms=event.at_ms,
            request_id=self._request_id,
            model=self._model,
            is_final=True,
            from_finalize=True,
        )
        return [*told, _say(empty)]

    # ── Ends ────────────────────────────────────────────────────────────

    def _end_utterance(self, pong: Pong) -> list[Act]:
        end_s, last_ms = self._utterance_end_s(), self._last_word_end_ms
        if end_s is None or last_ms is None or seconds(pong.at_ms) < end_s:
            return []
        self._last_word_end_ms = None
        told = {"type": "UtteranceEnd", "channel": CHANNELS, "last_word_end": seconds(last_ms)}
        return [_say(told)]

    def _metadata(self) -> Message:
        uuid = model_uuid(self._model)
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": self._sha256.hexdigest(),
            "created": self._created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration": round(self._heard_s, 3),
            "channels": 1,
            "models": [uuid],
            "model_info": {uuid: model_info(self._model)},
        }


def _say(message: Message) -> Say:
    return Say(encode(message))
