"""What SDP says of a codec. Pure, and apart from what decodes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Codec"]


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as SDP negotiated it."""

    name: str
    """One of :data:`signaling.codecs.CODEC_NAMES`, case as there."""
    payload_type: int
    clock_rate: int
    """Ticks of RTP time a second. That of G.722 is 8000, though it carries 16 kHz (RFC 3551 §4.5.2)."""
    parameters: Mapping[str, str | int | None] = field(default_factory=dict)
