"""RTVI over a data channel: what Pipecat's browser clients say and hear, without any bot. Pure.

::

    client                                               server
    "ping: 1763755016000", once a second            ──▶             not answered
    {"type":"signalling","message":{…trackStatus}}  ──▶             mute
    client-ready                                    ──▶
                                                    ◀──  bot-ready
                                                    ◀──  user-started-speaking
                                                    ◀──  user-transcription, final: false, … the whole text
                                                    ◀──  user-stopped-speaking
                                                    ◀──  user-transcription, final: true
                                                    ◀──  server-message, metrics
    disconnect-bot                                  ──▶
                                                    ◀──  {"type":"signalling","message":{"type":"peerLeft"}}

Its messages are in :mod:`signaling.dialects.rtvi_messages`. The clients say ``client-ready`` only when they
connect first and not after a reconnect, so nothing waits for it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence

from rtc_stt.commands import Configure, Finalize, Mute, Stop
from rtc_stt.config import StreamOptions, change_stream_options
from rtc_stt.errors import BadRequest
from rtc_stt.events import (
    Event,
    Finalized,
    SessionEnded,
    SessionError,
    SessionWarning,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.wire import encode_event
from signaling.dialects.dialect import MAX_TEXT_CHARS, Act, Ask, Beginning, Say
from signaling.dialects.rtvi_messages import (
    Invalid,
    Request,
    TrackStatus,
    Version,
    bot_ready,
    error,
    error_response,
    metrics,
    peer_left,
    read,
    server_message,
    server_response,
    signal,
    transcription,
    user_input,
)
from signaling.stream_protocol import close_code

__all__ = ["LABEL", "Rtvi", "read_options"]

LABEL = "chat"
"""Of the data channel that ``@pipecat-ai/small-webrtc-transport`` makes."""

MICROPHONE = 0
"""Index of its transceiver; those behind it are video, which is turned down."""

USER_INPUT_SINCE: Version = (2, 2, 0)
"""Clients from there on read ``user-input``; ``user-transcription`` goes away some day."""

MAX_ASKED = 64
"""Answers to ``finalize`` that a client waits for at a time."""

MAX_PROBLEM_CHARS = 300
"""Of what is wrong with options: it may quote the name of one."""

RESTARTED = "deleted"
"""Why a session ends whose client has a new connection. It listens to the old one still, and takes
``peerLeft`` for the end of both."""

THEIR_FAULT = ("configure", "message_too_long", "rate_limited")
"""Warnings about what the client has said; others tell how the session is."""


def read_options(told: object) -> str:
    """What of the ``requestData`` of an offer is for the session: ``{"configure": {…}}``, as JSON.

    The rest of it is the application's own, and not looked at.

    Raises:
        BadRequest: the options are not those of ``configure``; says which.
    """
    if not isinstance(told, Mapping) or "configure" not in told:
        return ""
    changes = told["configure"]
    if problem := _problem(changes):
        raise BadRequest(f"requestData.configure: {problem}")
    text = json.dumps(changes)
    if len(text) > MAX_TEXT_CHARS:
        raise BadRequest(f"requestData.configure has at most {MAX_TEXT_CHARS} characters")
    return text


def _problem(changes: object) -> str | None:
    """What is wrong with options, so far as it can be said without the models and the server's defaults."""
    if not isinstance(changes, dict):
        return "it should be an object of options"
    named = changes.get("languages")
    languages = [changes.get("language"), *(named if isinstance(named, list) else ())]
    known = frozenset(language for language in languages if isinstance(language, str))
    _, problems = change_stream_options(StreamOptions(), StreamOptions(), changes, known)
    return problems[0][:MAX_PROBLEM_CHARS] if problems else None


class Rtvi:
    """See :class:`~signaling.dialects.dialect.Dialect`."""

    resumes = False
    tick = '{"type":"tick"}'

    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning
        self._version: Version = (0, 0, 0)
        self._is_muted = False
        self._is_speaking = False
        self._texts: dict[int, str] = {}  # what was last understood of utterances that are not concluded
        self._concluded = 0  # the last that was
        self._shown = ""  # of the first of those
        self._asked: dict[str, str] = {}  # who waits for an answer to finalize, by its id at the session
        self._asked_so_far = 0

    def begin(self) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        try:
            changes = json.loads(self._beginning.text or "null")
        except (ValueError, RecursionError):  # what was said at another door
            return ()
        return (Ask(Configure(changes)),) if changes and not _problem(changes) else ()

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return close_code(reason), reason

    # ── What the client says ────────────────────────────────────────────────────────────

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        try:
            found = read(message)
        except Invalid as problem:
            return (Say(error(str(problem))),)
        match found:
            case TrackStatus(index, enabled):
                return self._switch(index, not enabled)
            case Request():
                return self._answer(found)
            case None:
                return ()

    def _switch(self, index: int, muted: bool) -> Sequence[Act]:
        if index != MICROPHONE or muted == self._is_muted:
            return ()
        self._is_muted = muted
        return (Ask(Mute(muted)),)

    def _answer(self, request: Request) -> Sequence[Act]:
        match request.type, request.custom:
            case "client-ready", _:
                return self._greet(request)
            case "disconnect-bot", _:
                return (Ask(Stop()),)
            case "client-message", "configure":
                return self._configure(request)
            case "client-message", "finalize":
                return self._finalize(request)
            case "client-message", custom:
                problem = f"no client message {custom!r} is offered: there are configure and finalize"
            case kind, _:
                problem = f"{kind!r} is not offered: there is no bot here, only the transcripts of speech"
        return (Say(error_response(request.id, problem)),)

    def _greet(self, request: Request) -> Sequence[Act]:
        acts = list[Act]()
        self._version = request.version or (0, 0, 0)
        if request.version is None:
            acts.append(Say(error_response(request.id, "data.version should be a version such as 2.2.0")))
        elif request.version[0] not in (1, 2):
            major = request.version[0]
            acts.append(Say(error_response(request.id, f"version {major} of RTVI is not spoken here")))
        return (*acts, Say(bot_ready(request.id, self._version)))

    def _configure(self, request: Request) -> Sequence[Act]:
        if problem := _problem(request.data):
            return (Say(error_response(request.id, f"configure: {problem}")),)
        assert isinstance(request.data, dict)
        return Ask(Configure(request.data)), Say(server_response(request.id, "configure", None))

    def _finalize(self, request: Request) -> Sequence[Act]:
        if len(self._asked) >= MAX_ASKED:
            return (Say(error_response(request.id, "too many of them wait for an answer")),)
        self._asked_so_far += 1
        number = str(self._asked_so_far)
        self._asked[number] = request.id
        return (Ask(Finalize(number)),)

    # ── What the session tells ────────────────────────────────────────────────────────────

    def tell(self, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        match event:
            case SpeechStarted():
                self._texts.setdefault(event.utterance_id, "")
                return self._speak(True)
            case SpeechStopped():
                return self._speak(False)
            case TranscriptPartial() | TranscriptEager():
                return self._understand(event)
            case TranscriptFinal() | UtteranceDropped():
                return self._conclude(event)
            case Finalized(id=number) if number in self._asked:
                answer = {"utterance_id": event.utterance_id}
                return (Say(server_response(self._asked.pop(number), "finalize", answer)),)
            case SessionWarning(code=code) if code in THEIR_FAULT:
                return (Say(error(event.message)),)
            case SessionWarning():
                return (Say(server_message(encode_event(event))),)
            case SessionError():
                return (Say(error(event.message, fatal=event.fatal)),)
            case SessionEnded(reason=reason) if (
                reason != RESTARTED
            ):  # else the client would wait, and call again
                return (Say(peer_left()),)
        return ()

    def _speak(self, speaking: bool) -> Sequence[Act]:
        if speaking == self._is_speaking:
            return ()
        self._is_speaking = speaking
        return (Say(signal("user-started-speaking" if speaking else "user-stopped-speaking")),)

    def _understand(self, event: TranscriptPartial | TranscriptEager) -> Sequence[Act]:
        if event.utterance_id <= self._concluded:
            return ()
        self._texts[event.utterance_id] = event.text
        return self._show(event)

    def _conclude(self, event: TranscriptFinal | UtteranceDropped) -> Sequence[Act]:
        self._concluded = max(self._concluded, event.utterance_id)
        self._texts.pop(event.utterance_id, None)
        acts = list[Act]()
        if isinstance(event, TranscriptFinal):
            self._shown = ""
            acts += self._transcribe(event, event.text, final=True)
            acts += [Say(server_message(encode_event(event))), Say(metrics(event))]
        if self._shown and not next(iter(self._texts.values()), ""):
            self._shown = ""
            acts += self._transcribe(event, "", final=False)
        return (*acts, *self._show(event))

    def _show(self, event: Event) -> Sequence[Act]:
        """Only the first utterance has its interims shown: what comes next is its final."""
        text = next(iter(self._texts.values()), "")
        if text == self._shown or not text:
            return ()
        self._shown = text
        return self._transcribe(event, text, final=False)

    def _transcribe(self, event: Event, text: str, *, final: bool) -> Sequence[Act]:
        at = datetime.datetime.fromtimestamp(self._beginning.now + event.at_ms / 1000, datetime.UTC)
        timestamp = at.isoformat(timespec="milliseconds")
        said = [Say(transcription(text, timestamp, final=final))]
        if self._version >= USER_INPUT_SINCE:
            said.append(Say(user_input(text, timestamp, final=final)))
        return said
