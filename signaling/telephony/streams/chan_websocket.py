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

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.events import Event
from signaling.audio_format import AudioFormat
from signaling.stream_protocol import close_code
from signaling.telephony.call_source import CALLER, clean_text
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    Form,
    Hear,
    Kind,
    Leave,
    Opening,
    Packets,
    Say,
)

__all__ = ["CHAN_WEBSOCKET", "FORMATS", "ChanWebsocket"]

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
"""Asterisk's names of what is understood here."""

MAX_TEXT_CHARS = 32_768
"""Of one message: channel variables are part of the first."""

MAX_WORDS = 32

OPTIONS = ("language", "prompt", "hotwords")
"""Of recognition, by the query."""


class ChanWebsocket:
    """A :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`.

    Args:
        opening: its query may name the leg, as ``leg``; see ``v()`` of the dial string.
    """

    def __init__(self, opening: Opening) -> None:
        self._query = opening.query
        self._leg = clean_text(opening.query.get("leg", "")) or CALLER
        self._form: Form | None = None
        self._speaks_json = False
        self._is_over = False

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if isinstance(message, bytes):
            if self._form is None:
                return (Bad("order", "audio comes after MEDIA_START"),)
            return (Hear(self._leg, self._form, message),) if message else ()
        found = _read(message)
        if isinstance(found, Bad):
            return (found,)
        match found.get("event"):
            case "MEDIA_START" if self._form is None:
                return self._start(found, is_json=message.lstrip().startswith("{"))
            case "DTMF_END" if self._form is not None:
                return (Digit(self._leg, str(found.get("digit", ""))[:1]),)
            case _:  # MEDIA_XON, STATUS, QUEUE_DRAINED … are about audio that we never send
                return ()

    def _start(self, found: Mapping[str, Any], *, is_json: bool) -> Sequence[Act]:
        name = str(found.get("format", ""))
        form = FORMATS.get(name)
        if form is None:
            return (
                Leave(close_code("bad_request"), "put c(ulaw), c(alaw) or c(slin16) into the dial string"),
            )
        self._form, self._speaks_json = form, is_json
        told = {key: found[key] for key in ("connection_id", "channel", "format") if key in found}
        variables = found.get("channel_variables")
        taken = (*OPTIONS, "leg", "caller", "callee")
        query = {key: value for key, value in self._query.items() if key not in taken}
        return (
            Begin(
                legs=(self._leg,),
                external_id=str(found.get("channel_id") or found.get("channel") or ""),
                caller=self._query.get("caller", ""),
                callee=self._query.get("callee", ""),
                parameters=query | told | (variables if isinstance(variables, dict) else {}),
                options={key: self._query[key] for key in OPTIONS if key in self._query},
            ),
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


def _read(message: str) -> dict[str, Any] | Bad:
    """A notification as its fields; what it is called is its ``event``."""
    if len(message) > MAX_TEXT_CHARS:
        return Bad("size", f"a message has at most {MAX_TEXT_CHARS} characters")
    if not message.lstrip().startswith("{"):
        event, *words = message.split()[:MAX_WORDS] or [""]
        return dict(word.split(":", 1) for word in words if ":" in word) | {"event": event}
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return Bad("json", "this is not JSON")
    return found if isinstance(found, dict) else Bad("json", "this is no JSON object")


CHAN_WEBSOCKET = Kind(ChanWebsocket, protocols=("media",))
