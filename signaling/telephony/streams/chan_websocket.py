"""Asterisk's ``chan_websocket``, from 20.16, 21.11, 22.6 and 23 on. Pure.

::

    Asterisk                                                                 server
    MEDIA_START connection_id:… channel:… channel_id:… format:ulaw …   ──▶   (or the same as JSON)
    binary: what the codec makes of 20 ms, or of several                ──▶
    DTMF_END digit:5 channel_id:…                                       ──▶
                                                              ◀──   HANGUP   where the call has ended here

Source: https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ and ``chan_websocket.c``. JSON is
``{"event": …}`` there and ``{"command": …}`` back; whoever sends the one understands no other. ``channel_id``
names the channel, and is missing from versions that have no JSON yet; ``connection_id`` is the name of a
section in ``websocket_client.conf``, the same for many calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.events import Event
from signaling.audio_format import AudioFormat
from signaling.stream_protocol import close_code
from signaling.telephony.streams.reading import first_of, read_object
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    Form,
    Hear,
    Leave,
    Opening,
    Packets,
    Say,
)
from signaling.telephony.streams.wishes import read_wishes

__all__ = ["FORMATS", "ChanWebsocket"]

FORMATS: Mapping[str, Form] = {
    "ulaw": AudioFormat("mulaw", 8_000, 1),
    "alaw": AudioFormat("alaw", 8_000, 1),
    "slin": AudioFormat("pcm_s16le", 8_000, 1),
    "slin12": AudioFormat("pcm_s16le", 12_000, 1),
    "slin16": AudioFormat("pcm_s16le", 16_000, 1),
    "slin24": AudioFormat("pcm_s16le", 24_000, 1),
    "slin32": AudioFormat("pcm_s16le", 32_000, 1),
    "slin44": AudioFormat("pcm_s16le", 44_100, 1),
    "slin48": AudioFormat("pcm_s16le", 48_000, 1),
    "g722": Packets("G722"),
    "opus": Packets("opus"),
}
"""Asterisk's names of what is understood here; a message of ``opus`` is one packet (passthrough mode)."""

UNSUPPORTED = 1003
"""Close code: data that cannot be taken (RFC 6455 §7.4.1)."""

MAX_WORDS = 32
"""Of a notification in plain text that are read."""


class ChanWebsocket:
    """A :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`.

    Args:
        opening: its query (``v()`` of the dial string) may name who is heard, and how to listen.
    """

    def __init__(self, opening: Opening) -> None:
        self._query = opening.query
        self._leg = ""
        self._form: Form | None = None
        self._speaks_json = False

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if isinstance(message, bytes):
            if self._form is None:
                return (Bad("order", "audio comes after MEDIA_START"),)
            return (Hear(self._leg, self._form, message),) if message else ()
        is_json = message.lstrip().startswith("{")
        found = read_object(message) if is_json else _read_plain(message)
        if found is None:
            return (Bad("json", "this is no JSON object"),)
        match found.get("event"):
            case "MEDIA_START" if self._form is None:
                return (self._start(found, is_json=is_json),)
            case "DTMF_END" if self._form is not None:
                return (Digit(self._leg, first_of(found, "digit")[:1]),)
            case _ if self._form is None:
                return (Bad("order", "a call begins with MEDIA_START"),)
            case _:  # MEDIA_XON, STATUS, QUEUE_DRAINED … are about audio for the caller, and there is none
                return ()

    def _start(self, found: Mapping[str, Any], *, is_json: bool) -> Act:
        form = FORMATS.get(first_of(found, "format"))
        if form is None:
            return Leave(
                UNSUPPORTED, "put c(ulaw), c(alaw), c(g722), c(opus) or c(slin16) into the dial string"
            )
        variables = found.get("channel_variables")
        wishes = read_wishes(self._query, variables if isinstance(variables, dict) else {})
        self._form, self._speaks_json, self._leg = form, is_json, wishes.legs[0]
        told = {name: first_of(found, name) for name in ("connection_id", "channel", "format")}
        return Begin(
            legs=(self._leg,),
            external_id=first_of(found, "channel_id", "channel"),
            caller=wishes.caller,
            callee=wishes.callee,
            parameters={name: value for name, value in told.items() if value} | dict(wishes.parameters),
            options=wishes.options,
            token=wishes.token,
        )

    def play_out(self) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: nothing waits here."""
        return ()

    def tell(self, leg: str, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: there is no way back."""
        return ()

    def end(self, reason: str) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if self._form is None:
            return ()
        return (Say('{"command":"HANGUP"}' if self._speaks_json else "HANGUP"),)

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return close_code(reason), reason


def _read_plain(message: str) -> dict[str, str]:
    """``DTMF_END digit:5 channel_id:…`` as its fields; what is told is its ``event``."""
    event, *words = message.split(maxsplit=MAX_WORDS)[:MAX_WORDS] or [""]
    return dict(word.split(":", 1) for word in words if ":" in word) | {"event": event}
