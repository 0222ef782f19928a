"""Which dialects ``/v1/media/{dialect}`` speaks. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from signaling.telephony.streams.chan_websocket import CHAN_WEBSOCKET
from signaling.telephony.streams.stream_dialect import Kind

__all__ = ["KINDS"]

KINDS: Mapping[str, Kind] = {
    "asterisk": CHAN_WEBSOCKET,
}
"""By the name in the path, which is the source of the call too."""
