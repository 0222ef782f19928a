"""``rtc-stt fallback``: recordings over HTTP, by the medium model; it routes nothing."""

from __future__ import annotations

from typing import Any

from rtc_stt.cli import service
from rtc_stt.cli.common import Model, medium_model
from rtc_stt.config import Decoding
from rtc_stt.hypothesis import Tier
from rtc_stt.service.transcript import UNDOUBTING

__all__ = ["FALLBACK", "add_parser"]


def _choose(decoding: Decoding) -> dict[Tier, Model]:
    # To its own pool the one model is the fast tier: there is nobody that could be asked instead.
    return {Tier.FAST: medium_model(decoding, "rtc-stt fallback --demo")}


FALLBACK = service.Kind("fallback", 8082, _choose, UNDOUBTING)


def add_parser(commands: Any) -> None:
    """Add the command."""
    service.add_parser(
        commands,
        FALLBACK,
        help="serve transcripts of recordings over HTTP, by the medium model; what a primary asks in doubt",
        example="CT2_MEDIUM_PATH=medium rtc-stt fallback --host 0.0.0.0 --config fallback.env",
    )
