"""jambonz's protocol for speech recognizers of one's own: what is heard goes back over the same WebSocket.
Pure.

::

    {"type":"start", language, format, encoding, sampleRateHz, interimResults}  ──▶
    binary: samples                                                             ──▶
                                        ◀── {"type":"transcription", is_final, alternatives, …}
    {"type":"stop"}                                                             ──▶
                                        ◀── what is open becomes final, then the socket is closed

See https://docs.jambonz.org/guides/features/custom-stt-providers: whoever recognizes closes the connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rtc_stt.events import Event, TranscriptFinal, TranscriptPartial
from signaling.audio_format import AudioFormat
from signaling.stream_protocol import close_code
from signaling.telephony.streams.reading import Fields, first_of, read_form, read_object
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    HangUp,
    Hear,
    Leave,
    Opening,
    Say,
)
from signaling.telephony.streams.wishes import read_wishes

__all__ = ["JambonzStt"]

UNSUPPORTED = 1003
"""Close code: data that cannot be taken (RFC 6455 §7.4.1)."""

FIELDS = ("type", "format", "encoding", "sampleRateHz", "interimResults")
CHANNEL = 1
"""jambonz opens a WebSocket for each party: of every one this is the only channel."""

ENDED_WELL = ("stopped", "closed", "connection_lost", "deleted")
ERRORS = {
    "drained": "the server is shutting down",
    "unavailable": "the server has no room; try again later",
    "no_room": "the server has no room; try again later",
    "too_many": "all sessions of this key are taken",
    "quota_exceeded": "the quota of this key is used up",
    "unauthorized": "a key is needed",
    "token_wrong": "the token is wrong",
    "token_expired": "the token has expired",
    "token_replayed": "the token has been used",
    "configure_timeout": "no start came in time",
    "overloaded": "the server has as much to do as it can",
    "max_duration": "the call was too long",
}


class JambonzStt:
    """See above."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._form: AudioFormat | None = None
        self._leg = ""
        self._wants_partials = False
        self._wrong = ""

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if isinstance(message, bytes):
            if self._form is None:
                return self._refuse("order", "start comes before the audio")
            return (Hear(self._leg, self._form, message),)
        body = read_object(message)
        if body is None:
            return self._refuse("json", "a text is a JSON object")
        match body.get("type"):
            case "start" if self._form is None:
                return self._start(body)
            case "stop":
                return (HangUp(),)
            case "start":
                return self._refuse("order", "a stream starts once")
            case str():
                return ()
        return self._refuse("field", "a message names its type")

    def _start(self, body: Fields) -> Sequence[Act]:
        form = read_form(first_of(body, "encoding") or "LINEAR16", first_of(body, "sampleRateHz"))
        if not isinstance(form, AudioFormat) or first_of(body, "format") not in ("", "raw"):
            self._wrong = "the audio has to be raw LINEAR16, at 8 to 48 kHz"
            return (Leave(UNSUPPORTED, self._wrong),)
        self._form = form
        self._wants_partials = body.get("interimResults") is True
        told = {name: value for name, value in body.items() if name not in FIELDS}
        wishes = read_wishes(told, self._opening.query)
        self._leg = wishes.legs[0]
        options = {**wishes.options, "partials": self._wants_partials}
        return (
            Begin(
                legs=(self._leg,),
                external_id=first_of(body, "callSid", "call_sid"),
                caller=wishes.caller,
                callee=wishes.callee,
                parameters=wishes.parameters,
                options=options,
                token=wishes.token,
            ),
        )

    def _refuse(self, reason: str, words: str) -> Sequence[Act]:
        self._wrong = words
        return (Bad(reason, words),)

    def play_out(self) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: nothing waits."""
        return ()

    def tell(self, leg: str, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        match event:
            case TranscriptPartial() if self._wants_partials:
                sure = event.stable_chars / len(event.text) if event.text else 0.0
                return (_transcription(event.text, event.language, min(1.0, sure), is_final=False),)
            case TranscriptFinal():
                return (_transcription(event.text, event.language, event.confidence, is_final=True),)
        return ()

    def end(self, reason: str) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: an error, where it was
        one."""
        if reason in ENDED_WELL:
            return ()
        wrong = ERRORS.get(reason) or (self._wrong if reason in ("malformed", "abuse") else "")
        return (Say(json.dumps({"type": "error", "error": wrong or "the server made a mistake"})),)

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return close_code(reason), reason


def _transcription(text: str, language: str | None, confidence: float, *, is_final: bool) -> Say:
    body = {
        "type": "transcription",
        "is_final": is_final,
        "alternatives": [{"transcript": text, "confidence": round(confidence, 3)}],
        "language": language or "",
        "channel": CHANNEL,
    }
    return Say(json.dumps(body, ensure_ascii=False, allow_nan=False))
