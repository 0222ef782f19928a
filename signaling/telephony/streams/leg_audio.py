"""What comes for one leg of a media stream, as 16 kHz mono. No clock, task or socket in it."""

from __future__ import annotations

from rtc_stt.audio import Samples
from signaling.codecs import Codec, decoder_for
from signaling.stream_audio import StreamAudio, pieces
from signaling.telephony.streams.stream_dialect import Form, Packets

__all__ = ["LegAudio"]

CLOCK_RATES = {"G722": 8_000, "opus": 48_000}
"""Ticks a second by which a decoder counts (RFC 3551 §4.5.2, RFC 7587 §4.1)."""


NAMES = {"mulaw": "PCMU", "alaw": "PCMA", "pcm_s16le": "L16"}


class LegAudio:
    """The decoder of one leg. When the form changes it begins anew."""

    def __init__(self) -> None:
        self._form: Form | None = None
        self._rest = b""  # a broken frame
        self.bad = 0
        """Payloads that could not be decoded."""

    @property
    def codec(self) -> str:
        """What it decodes, as RTP calls it (RFC 3551 §6)."""
        form = self._form
        if form is None:
            return ""
        return form.codec if isinstance(form, Packets) else NAMES[form.encoding]

    def cut(self, form: Form, data: bytes) -> list[tuple[bytes, float]]:
        """Data as pieces that are decoded in one go, with the seconds that each sounds."""
        if form != self._form:
            self._begin(form)
        if isinstance(form, Packets):
            ticks = self._decoder.duration(data)
            if not ticks:
                self.bad += 1
                return []
            return [(data, ticks / CLOCK_RATES[form.codec])]
        found, self._rest = pieces(form, self._rest + data)
        return [(piece, len(piece) / form.bytes_per_second) for piece in found]

    def decode(self, piece: bytes) -> Samples | None:
        """What a piece says, shape ``(n,)``; None where that cannot be told."""
        if isinstance(self._form, Packets):
            samples = self._decoder.decode(piece)
            self.bad += samples is None
            return samples
        return self._stream.push(piece)

    def _begin(self, form: Form) -> None:
        self._form, self._rest = form, b""
        if isinstance(form, Packets):
            self._decoder = decoder_for(Codec(form.codec, 0, CLOCK_RATES[form.codec]))
        else:
            self._stream = StreamAudio(form)
