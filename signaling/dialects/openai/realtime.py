"""A Realtime transcription session, as OpenAI's clients speak it. Pure.

::

    client                                         server
                                             ◀──   session.created
    session.update                           ──▶
                                             ◀──   session.updated
    input_audio_buffer.append {audio}        ──▶   (over WebRTC audio comes as a track)
                                             ◀──   see :mod:`~signaling.dialects.openai.conversation`
    input_audio_buffer.commit, .clear        ──▶
                                             ◀──   input_audio_buffer.committed …, .cleared

Whatever is wrong with a message is answered by ``error``, which names its ``event_id``, and changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from rtc_stt.commands import Configure, Finalize
from rtc_stt.events import (
    Event,
    Finalized,
    SessionError,
    SessionStarted,
    SessionWarning,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from signaling.dialects.dialect import Act, Ask, Beginning, Hear, Say, Speak
from signaling.dialects.openai.conversation import Body, Conversation
from signaling.dialects.openai.errors import Refusal, error_details
from signaling.dialects.openai.reading import is_sendable, parse
from signaling.dialects.openai.settings import Form, Settings, describe, update
from signaling.stream_protocol import close_code

__all__ = ["LABEL", "OVER_CHANNEL", "Realtime"]

LABEL = "oai-events"
"""Of the data channel."""

MIN_COMMIT_MS = 100
"""Of audio since the last commit; with less, there is nothing to commit."""

MAX_EVENT_ID_CHARS = 512

TOLD_WARNINGS = ("configure", "rate_limited", "message_too_long")
"""What the client did wrong. Other warnings tell of what the protocol has no word for."""

UPDATES: Mapping[str, Form] = {"session.update": Form.GA, "transcription_session.update": Form.BETA}


class Realtime:
    """See :class:`~signaling.dialects.dialect.Dialect`.

    Args:
        beginning: its text is an object ``session`` of today's form, checked by the route, or nothing.
        form: in which ``session.created`` is told; later messages follow the client's.
        has_track: audio comes as a track, and not in messages.
        languages: see :func:`~signaling.dialects.openai.settings.update`.
    """

    resumes = False
    tick = '{"type":"rate_limits.updated","event_id":"event_tick","rate_limits":[]}'

    def __init__(
        self,
        beginning: Beginning,
        *,
        form: Form = Form.GA,
        has_track: bool = False,
        languages: Collection[str] | None = None,
    ) -> None:
        self._settings = Settings()
        if beginning.text:
            with contextlib.suppress(Refusal, ValueError, RecursionError):  # it was said at another door
                self._settings = update(self._settings, json.loads(beginning.text), Form.GA)
        self._has_track = has_track
        self._languages = languages
        self._conversation = Conversation()
        self._conversation.form = form
        self._conversation.logprobs = self._settings.logprobs
        self._model: str | None = None
        self._told = 0  # messages
        self._bytes = 0  # of audio since the last commit
        self._event_id: str | None = None  # of the client's message that is being read …
        self._updated_by: str | None = None  # … and of its last update
        self._handlers: Mapping[str, Callable[[Body], Sequence[Act]]] = {
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            **{kind: partial(self._update, form=form) for kind, form in UPDATES.items()},
        }

    def begin(self) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return (Ask(Configure(self._settings.changes())),)

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return close_code(reason), reason

    # ── What the client says ────────────────────────────────────────────────────────────

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        self._event_id = None
        try:
            if isinstance(message, bytes):
                raise Refusal("audio is sent as base64 in input_audio_buffer.append", code="invalid_json")
            body = parse(message)
            given = body.get("event_id")
            self._event_id = given if is_sendable(given, MAX_EVENT_ID_CHARS) else None
            handler = self._handlers.get(str(body.get("type")))
            if handler is None:
                known = ", ".join(self._handlers)
                raise Refusal(f"type is one of {known}", code="unknown_event", param="type")
            return handler(body)
        except Refusal as refusal:
            details = error_details(str(refusal), code=refusal.code, param=refusal.param)
            return self._say([_error(details, self._event_id)])

    def _append(self, body: Body) -> Sequence[Act]:
        if self._has_track:
            raise Refusal("audio comes as the track of this call", code="invalid_event", param="type")
        audio = body.get("audio")
        try:
            data = base64.b64decode(audio, validate=True) if isinstance(audio, str) else None
        except (binascii.Error, ValueError):
            data = None
        if data is None:
            raise Refusal("audio is base64", param="audio")
        self._bytes += len(data)
        return (Hear(self._settings.audio, data),) if data else ()

    def _commit(self, _: Body) -> Sequence[Act]:
        milliseconds = round(self._seconds * 1000)
        if not self._has_track and milliseconds < MIN_COMMIT_MS:
            raise Refusal(
                f"since the last commit came {milliseconds} ms of audio; it takes {MIN_COMMIT_MS} at least",
                code="input_audio_buffer_commit_empty",
            )
        return self._flush()

    def _flush(self) -> Sequence[Act]:
        seconds = None if self._has_track else self._seconds
        self._bytes = 0
        name, bodies = self._conversation.commit(seconds, finds_turns=self._finds_turns)
        return (*self._say(bodies), Ask(Finalize(name)))

    def _clear(self, _: Body) -> Sequence[Act]:
        self._bytes = 0
        name = self._conversation.clear(finds_turns=self._finds_turns)
        return (*self._say([{"type": "input_audio_buffer.cleared"}]), Ask(Finalize(name)))

    def _update(self, body: Body, form: Form) -> Sequence[Act]:
        settings = update(self._settings, body.get("session"), form, self._languages)
        acts: list[Act] = []
        if settings.detection and not self._finds_turns and self._conversation.is_gathering:
            acts += self._flush()  # from here on nobody commits
        if settings.audio != self._settings.audio:
            self._bytes = 0
        self._updated_by = self._event_id
        self._settings = settings
        self._conversation.form, self._conversation.logprobs = form, settings.logprobs
        told = self._say([{"type": self._kind("updated"), "session": self._described()}])
        return (*acts, *told, Ask(Configure(settings.changes())))

    @property
    def _finds_turns(self) -> bool:
        return self._settings.detection is not None

    @property
    def _seconds(self) -> float:
        return self._bytes / self._settings.audio.bytes_per_second

    # ── What the session tells ────────────────────────────────────────────────────────────

    def tell(self, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        match event:
            case SessionStarted():
                self._conversation.name, self._model = event.session_id, event.models.get("fast")
                return self._say([{"type": self._kind("created"), "session": self._described()}])
            case SpeechStarted():
                return self._say(self._conversation.start(event, finds_turns=self._finds_turns))
            case TranscriptPartial():
                return self._say(self._conversation.grow(event))
            case SpeechStopped():
                if self._finds_turns:
                    self._bytes = 0
                return self._say(self._conversation.stop(event))
            case TranscriptFinal() | UtteranceDropped():
                return self._say(self._conversation.end(event))
            case Finalized():
                return self._say(self._conversation.finalize(event))
            case SessionWarning(code=code, message=message) if code in TOLD_WARNINGS:
                about = self._updated_by if code == "configure" else None
                return self._say([_error(error_details(message, code=code), about)])
            case SessionError(code=code, message=message):
                return self._say([_error(error_details(message, code=code, kind="server_error"), None)])
        return ()

    # ── Messages ────────────────────────────────────────────────────────────

    def _kind(self, what: str) -> str:
        before = "transcription_" if self._conversation.form is Form.BETA else ""
        return f"{before}session.{what}"

    def _described(self) -> dict[str, Any]:
        return describe(self._settings, self._conversation.form, self._conversation.name, self._model)

    def _say(self, bodies: Sequence[Body]) -> list[Say]:
        return [Say(self._encode(body)) for body in bodies]

    def _encode(self, body: Body) -> str:
        self._told += 1
        stamped = {"event_id": f"event_{self._conversation.name}_{self._told}", **body}
        return json.dumps(stamped, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _error(details: Mapping[str, object], event_id: str | None) -> Body:
    return {"type": "error", "error": {**details, "event_id": event_id}}


OVER_CHANNEL: Speak = partial(Realtime, has_track=True)
"""Beside a track of audio."""
