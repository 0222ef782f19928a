"""Media streams whose audio comes in binary messages: samples, one party or two by turns. Pure.

::

    Vonage        {"event":"websocket:connected","content-type":"audio/l16;rate=16000"}   then binary
    FreeSWITCH    any text or none, ?rate=&channels=                                      then binary
    jambonz       {"callSid", "sampleRate", "mixType", …}                                 then binary

Texts in between tell digits, and what else becomes known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtc_stt.events import Event
from signaling.audio_format import MAX_RATE, MIN_RATE, AudioFormat
from signaling.stream_protocol import close_code
from signaling.telephony.streams.reading import Fields, find, first_of, read_form, read_int, read_object
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    HangUp,
    Hear,
    Leave,
    Note,
    Opening,
)
from signaling.telephony.streams.wishes import read_wishes

__all__ = ["BinaryStream", "Stated", "freeswitch", "jambonz", "vonage"]

UNSUPPORTED = 1003
"""Close code: data that cannot be taken (RFC 6455 §7.4.1)."""

FORMAT_NAMES = ("rate", "channels")
"""In a query; so they are no parameters of the call."""

MAX_METADATA_CHARS = 256


@dataclass(frozen=True, slots=True)
class Stated:
    """What a first message says of the audio."""

    form: AudioFormat
    """Of all channels together."""
    call_id: str = ""


Reader = Callable[[Fields, Opening], Stated | None]
"""Reads a first message; None where it states what is not decoded here."""


class BinaryStream:
    """A :class:`~signaling.telephony.streams.stream_dialect.StreamDialect` of such a sender.

    Args:
        read: understands what comes first.
        needs_text: whether a text has to come first.
        first_event: what that text names as its ``event``; None: nothing.
    """

    def __init__(
        self, opening: Opening, read: Reader, *, needs_text: bool = True, first_event: str | None = None
    ) -> None:
        self._opening = opening
        self._read = read
        self._needs_text = needs_text
        self._first_event = first_event
        self._form: AudioFormat | None = None
        self._legs: tuple[str, ...] = ()
        self._rest = b""  # of a frame that came apart

    # ── What the other side says ────────────────────────────────────────────────────────────

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if isinstance(message, str):
            return self._text(message)
        if self._form is not None:
            return self._audio(self._form, message)
        if self._needs_text:
            return (Bad("order", "a text comes before the audio"),)
        begun = self._begin({}, {})
        return begun if self._form is None else [*begun, *self._audio(self._form, message)]

    def _text(self, message: str) -> Sequence[Act]:
        body = read_object(message)
        if self._form is not None:
            return self._later(body)
        if body is None:
            if self._needs_text:
                return (Bad("json", "the first message is a JSON object"),)
            return self._begin({}, {"metadata": message[:MAX_METADATA_CHARS]})
        if self._first_event is not None and body.get("event") != self._first_event:
            return (Bad("order", f"the first message is {self._first_event}"),)
        return self._begin(body, body)

    def _begin(self, body: Fields, parameters: Mapping[str, object]) -> Sequence[Act]:
        stated = self._read(body, self._opening)
        if stated is None:
            return (Leave(UNSUPPORTED, "audio is samples of 16 bits at 8 to 48 kHz, of 1 or 2 channels"),)
        self._form = stated.form
        query = {name: value for name, value in self._opening.query.items() if name not in FORMAT_NAMES}
        wishes = read_wishes(parameters, query)
        self._legs = wishes.legs[: stated.form.channels]
        return (
            Begin(
                legs=self._legs,
                external_id=stated.call_id,
                caller=wishes.caller,
                callee=wishes.callee,
                parameters=wishes.parameters,
                options=wishes.options,
                token=wishes.token,
            ),
        )

    def _later(self, body: Fields | None) -> Sequence[Act]:
        if body is None:
            return (Bad("json", "texts are JSON objects"),)
        event = first_of(body, "event", "type")
        digit = first_of(body, "digit", "dtmf", "dtmf.digit")
        if event.endswith("dtmf") and digit:
            duration = read_int(first_of(body, "duration", "dtmf.duration"))
            return (Digit(self._legs[0], digit.upper(), duration_ms=duration),)
        if event in ("stop", "websocket:disconnected"):
            return (HangUp(),)
        if event:
            return ()
        parameters = read_wishes(body).parameters
        return (Note(parameters),) if parameters else ()

    def _audio(self, form: AudioFormat, data: bytes) -> Sequence[Act]:
        if form.channels == 1:
            return (Hear(self._legs[0], form, data),)
        data = self._rest + data
        whole = len(data) - len(data) % form.frame_bytes
        data, self._rest = data[:whole], data[whole:]
        frames = np.frombuffer(data, "<i2").reshape(-1, form.channels)
        one = AudioFormat(form.encoding, form.sample_rate, 1)
        return [Hear(leg, one, frames[:, n].tobytes()) for n, leg in enumerate(self._legs)]

    # ── What it is told ────────────────────────────────────────────────────────────

    def play_out(self) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: nothing waits."""
        return ()

    def tell(self, leg: str, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: there is no way back."""
        return ()

    def end(self, reason: str) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return ()

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return close_code(reason), reason


# ── Who sends so ────────────────────────────────────────────────────────────


def vonage(opening: Opening) -> BinaryStream:
    """Vonage's: https://developer.vonage.com/en/voice/voice-api/guides/websockets."""
    return BinaryStream(opening, _read_vonage, first_event="websocket:connected")


def _read_vonage(body: Fields, _: Opening) -> Stated | None:
    form = read_form(first_of(body, "content-type") or "audio/l16", default_rate=16_000)
    if not isinstance(form, AudioFormat):
        return None
    return Stated(form, first_of(body, "uuid", "call_uuid", "conversation_uuid"))


def freeswitch(opening: Opening) -> BinaryStream:
    """mod_audio_stream's and mod_audio_fork's, of FreeSWITCH. What they send the query says, since what comes
    first is whatever the dial plan has for metadata."""
    return BinaryStream(opening, _read_freeswitch, needs_text=False)


def _read_freeswitch(body: Fields, opening: Opening) -> Stated | None:
    query = opening.query
    rate = query.get("rate") or first_of(body, "sampleRate", "sample_rate") or "8000"
    channels = query.get("channels") or first_of(body, "channels") or "1"
    return _samples(_hertz(rate), channels, first_of(body, "uuid", "callSid", "call_id", "callId"))


def jambonz(opening: Opening) -> BinaryStream:
    """That of jambonz's verb ``listen``: https://docs.jambonz.org/verbs/verbs/listen."""
    return BinaryStream(opening, _read_jambonz)


def _read_jambonz(body: Fields, opening: Opening) -> Stated | None:
    rate = first_of(body, "sampleRate") or opening.query.get("rate", "8000")
    told = "2" if find(body, "mixType") == "stereo" else "1"
    channels = told if "mixType" in body else opening.query.get("channels", "1")
    return _samples(rate, channels, first_of(body, "callSid", "callId"))


def _hertz(text: str) -> str:
    """``16k`` is how mod_audio_stream has its rate written."""
    return text[:-1] + "000" if text.lower().endswith("k") else text


def _samples(rate: str, channels: str, call_id: str) -> Stated | None:
    hertz, count = read_int(rate), read_int(channels)
    if hertz is None or not MIN_RATE <= hertz <= MAX_RATE or count not in (1, 2):
        return None
    return Stated(AudioFormat("pcm_s16le", hertz, count), call_id)
