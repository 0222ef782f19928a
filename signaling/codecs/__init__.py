"""The codecs of live audio: payloads of RTP to 16 kHz mono, inline and stateful.

A decoder is for one stream and one thread. It takes whatever a peer sends: what cannot be decoded is None.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from rtc_stt.audio import Samples
from signaling.codecs import libopus
from signaling.codecs.codec import Codec
from signaling.codecs.g711 import G711Decoder
from signaling.codecs.pyav import G722Decoder, PyAvOpusDecoder

__all__ = ["CODEC_NAMES", "Codec", "Decoder", "decoder_for", "opus_backend"]

log = logging.getLogger(__name__)


class Decoder(Protocol):
    """State of one stream in one codec. Samples are 16 kHz mono float32 in [-1, 1], shape ``(n,)``."""

    @property
    def joins(self) -> bool:
        """Whether payloads in a row, put together, decode to what they do one after the other."""

    def duration(self, payload: bytes) -> int:
        """Ticks of RTP time in a payload; 0 where it cannot be one."""

    def recoverable(self, payload: bytes) -> int:
        """Ticks before this payload that its forward error correction covers; 0 where there is none."""

    def decode(self, payload: bytes) -> Samples | None:
        """What the payload says; None where it is malformed."""

    def recover(self, payload: bytes, samples: int) -> Samples | None:
        """``samples`` from just before the payload by its error correction; None where that fails."""

    def conceal(self, samples: int) -> Samples:
        """``samples`` made up in place of what did not come."""


_MAKERS: dict[str, Callable[[], Decoder]] = {
    "opus": lambda: libopus.OpusDecoder(_library) if (_library := libopus.load()) else PyAvOpusDecoder(),
    "G722": G722Decoder,
    "PCMU": lambda: G711Decoder("PCMU"),
    "PCMA": lambda: G711Decoder("PCMA"),
}

CODEC_NAMES = tuple(_MAKERS)
"""What can be decoded, best first."""


def decoder_for(codec: Codec) -> Decoder:
    """A new decoder.

    Raises:
        KeyError: there is none of this name.
    """
    return _MAKERS[codec.name]()


def opus_backend() -> str:
    """What decodes Opus here, in words: libopus and from where, or PyAV."""
    library = libopus.load()
    return f"{library.version} ({library.origin})" if library else "PyAV, without forward error correction"
