"""Media streams as Twilio sends them, and as those do who learnt from it: JSON texts, audio as base64. Pure.

::

    connected ──▶ start{call, format, parameters} ──▶ media, dtmf, mark … ──▶ stop, or the socket closes

What the carriers call their fields says a :class:`Profile`; the rest is the same. The format is the one that
``start`` states. See https://www.twilio.com/docs/voice/media-streams/websocket-messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtc_stt.events import Event
from signaling.audio_format import AudioFormat
from signaling.stream_protocol import close_code
from signaling.telephony.call_source import MAX_LEGS
from signaling.telephony.streams.chunk_order import ChunkOrder
from signaling.telephony.streams.reading import (
    Fields,
    find,
    first_of,
    read_base64,
    read_form,
    read_int,
    read_object,
)
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    Form,
    HangUp,
    Hear,
    Leave,
    Opening,
    Warn,
)
from signaling.telephony.streams.wishes import Wishes, read_wishes

__all__ = ["EXOTEL", "PLIVO", "SIGNALWIRE", "TELNYX", "TWILIO", "JsonStream", "Profile"]

UNSUPPORTED = 1003
"""Close code: data that cannot be taken (RFC 6455 §7.4.1)."""

OTHER_EPOCH_MS = 60_000
"""A first stamp beyond it does not count from the beginning of the stream: Plivo tells the time of day."""

_MULAW, _PCM = AudioFormat("mulaw", 8_000, 1), AudioFormat("pcm_s16le", 8_000, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a carrier calls its fields: each is looked for in several places, of which the first counts."""

    call_id: tuple[str, ...] = ("start.callSid", "start.call_sid", "start.streamSid", "streamSid")
    caller: tuple[str, ...] = ("start.from",)
    callee: tuple[str, ...] = ("start.to",)
    parameters: tuple[str, ...] = ("start.customParameters", "start.custom_parameters")
    parameter_list: tuple[str, ...] = ()
    """Likewise, written as ``a=1;b=2`` in one text."""
    tracks: tuple[str, ...] = ("start.tracks",)
    encoding: tuple[str, ...] = ("start.mediaFormat.encoding", "start.media_format.encoding")
    sample_rate: tuple[str, ...] = ("start.mediaFormat.sampleRate", "start.media_format.sample_rate")
    channels: tuple[str, ...] = ("start.mediaFormat.channels", "start.media_format.channels")
    unstated: AudioFormat = _MULAW
    """The format of a ``start`` that states none, by the carrier's documentation. Never used beside one."""


TWILIO = SIGNALWIRE = Profile()
TELNYX = Profile(call_id=("start.call_control_id", "start.call_session_id", "stream_id"))
PLIVO = Profile(
    call_id=("start.callId", "start.call_uuid", "start.streamId", "streamId"),
    parameter_list=("extra_headers", "start.extra_headers"),
    unstated=_PCM,
)
EXOTEL = Profile(call_id=("start.call_sid", "start.stream_sid", "stream_sid"), unstated=_PCM)

_TRACKS = {"inbound": 0, "inbound_track": 0, "outbound": 1, "outbound_track": 1}


class JsonStream:
    """A :class:`~signaling.telephony.streams.stream_dialect.StreamDialect` of such a carrier."""

    def __init__(self, profile: Profile, opening: Opening) -> None:
        self._profile = profile
        self._opening = opening
        self._form: Form | None = None  # from the start on
        self._wishes = Wishes()
        self._order: dict[str, ChunkOrder[tuple[bytes, float | None]]] = {}
        self._epoch_ms: int | None = None

    # ── What the carrier says ────────────────────────────────────────────────────────────

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        body = read_object(message) if isinstance(message, str) else None
        if body is None:
            return (Bad("json", "messages are JSON objects, as texts"),)
        match body.get("event"):
            case "start":
                return self._start(body)
            case "media" if self._form:
                return self._media(body, self._form)
            case "dtmf" if self._form:
                return self._digit(body)
            case "stop":
                return (HangUp(),)
            case "error" if self._form:
                return (Warn("carrier_error", "the carrier says that its stream has failed"),)
            case "media" | "dtmf" | "error":
                return (Bad("order", "start comes before this"),)
            case str():
                return ()  # connected, mark, and what carriers think of later
        return (Bad("field", "a message names its event"),)

    def _start(self, body: Fields) -> Sequence[Act]:
        if self._form:
            return (Bad("order", "a stream starts once"),)
        profile = self._profile
        form = self._read_form(body)
        if form is None:
            return (Leave(UNSUPPORTED, "the encoding or rate that start states is not decoded here"),)
        self._form = form
        wishes = self._wishes = read_wishes(self._parameters(body), self._opening.query)
        tracks = next((t for path in profile.tracks if isinstance(t := find(body, path), list)), [])
        numbers = sorted({_TRACKS[t] for t in tracks if isinstance(t, str) and t in _TRACKS})
        return (
            Begin(
                legs=tuple(wishes.legs[n] for n in numbers[:MAX_LEGS]) or wishes.legs[:1],
                external_id=first_of(body, *profile.call_id),
                caller=first_of(body, *profile.caller) or wishes.caller,
                callee=first_of(body, *profile.callee) or wishes.callee,
                parameters=wishes.parameters,
                options=wishes.options,
                token=wishes.token,
            ),
        )

    def _read_form(self, body: Fields) -> Form | None:
        profile = self._profile
        encoding = first_of(body, *profile.encoding)
        rate, channels = first_of(body, *profile.sample_rate), first_of(body, *profile.channels)
        unstated = profile.unstated
        if not encoding:
            encoding = unstated.encoding
        return read_form(encoding, rate, channels, default_rate=unstated.sample_rate)

    def _parameters(self, body: Fields) -> Mapping[str, object]:
        for path in self._profile.parameters:
            found = find(body, path)
            if isinstance(found, list):  # as it is asked for: [{"name": …, "value": …}]
                return {str(p.get("name", "")): p.get("value") for p in found if isinstance(p, dict)}
            if isinstance(found, dict):
                return found
        listed = first_of(body, *self._profile.parameter_list)
        pairs = [pair.partition("=") for pair in listed.replace(",", ";").split(";")]
        return {name.strip(): value.strip() for name, equals, value in pairs if equals}

    # ── Audio and digits ────────────────────────────────────────────────────────────

    def _media(self, body: Fields, form: Form) -> Sequence[Act]:
        media = body.get("media")
        media = media if isinstance(media, dict) else {}
        payload = read_base64(media.get("payload"))
        if payload is None:
            return (Bad("payload", "media.payload is base64"),)
        leg = self._leg(first_of(media, "track"))
        at_ms = self._place(read_int(first_of(media, "timestamp")))
        chunk = read_int(first_of(media, "chunk"))
        if chunk is None:
            return (Hear(leg, form, payload, at_ms),)
        order = self._order.setdefault(leg, ChunkOrder())
        return [Hear(leg, form, data, at, lost) for (data, at), lost in order.push(chunk, (payload, at_ms))]

    def _leg(self, track: str) -> str:
        """Whose audio it is. A track of another name is the first's: who has but one names it at will."""
        return self._wishes.legs[_TRACKS.get(track, 0)]

    def _place(self, stamp: int | None) -> float | None:
        """A stamp on the call's clock, in ms."""
        if stamp is None:
            return None
        if self._epoch_ms is None:
            self._epoch_ms = stamp if stamp > OTHER_EPOCH_MS else 0
        return max(0, stamp - self._epoch_ms)

    def _digit(self, body: Fields) -> Sequence[Act]:
        leg = self._leg(first_of(body, "dtmf.track"))
        duration = read_int(first_of(body, "dtmf.duration"))
        return (Digit(leg, first_of(body, "dtmf.digit").upper(), duration_ms=duration),)

    # ── What it is told ────────────────────────────────────────────────────────────

    def play_out(self) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        if self._form is None:
            return ()
        return [
            Hear(leg, self._form, data, at, lost)
            for leg, order in self._order.items()
            for (data, at), lost in order.flush()
        ]

    def tell(self, leg: str, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`: there is no way back."""
        return ()

    def end(self, reason: str) -> Sequence[Act]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return ()

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.telephony.streams.stream_dialect.StreamDialect`."""
        return close_code(reason), reason
