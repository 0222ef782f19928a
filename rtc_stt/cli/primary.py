"""``rtc-stt primary``: recordings over HTTP, by the small model; what it doubts goes to the fallback."""

from __future__ import annotations

from typing import Any

from rtc_stt.cli import service
from rtc_stt.cli.common import Model, small_model
from rtc_stt.config import Decoding
from rtc_stt.hypothesis import Tier

__all__ = ["PRIMARY", "add_parser"]


def _choose(decoding: Decoding) -> dict[Tier, Model]:
    return {Tier.FAST: small_model(decoding, "rtc-stt primary --demo")}


PRIMARY = service.Kind("primary", 8081, _choose)


def add_parser(commands: Any) -> None:
    """Add the command."""
    service.add_parser(
        commands,
        PRIMARY,
        help="serve transcripts of recordings over HTTP, by the small model and in doubt by FALLBACK_URL",
        example="CT2_SMALL_PATH=small FALLBACK_URL=http://localhost:8082 rtc-stt primary",
    )
