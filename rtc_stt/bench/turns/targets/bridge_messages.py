"""What a script behind the bridge says: its first line, and its lines for each session. Pure.

The other end is :mod:`rtc_stt.bench.peers.link`, which says what the protocol is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.bench.turns.targets.reading import (
    MAX_TEXT,
    Unreadable,
    flag,
    identifier,
    number,
    read_object,
    reason,
    text,
)
from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed, Told

__all__ = ["HANG_UP", "Ready", "is_made", "piece", "read_line", "read_ready"]

HANG_UP = struct.pack("<I", 0)

MAX_MS = 100 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Ready:
    """The script takes sessions."""

    port: int
    facts: Mapping[str, object]
    says_ready: bool = False
    """Each session says when it has been made. Until then nothing is spoken to it."""


def piece(pcm: bytes) -> bytes:
    """16 kHz mono s16le, on its way to the script."""
    return struct.pack("<I", len(pcm)) + pcm


def read_ready(line: bytes) -> Ready | None:
    """The line that says where to connect; None where it is another: libraries print as they load.

    Raises:
        Unreadable: it is that line, and wrong.
    """
    try:
        told = read_object(line)
    except Unreadable:
        return None
    if "port" not in told:
        return None
    port, facts, says_ready = told["port"], told.get("facts", {}), told.get("says_ready", False)
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise Unreadable("port is not a number from 1 to 65535")
    if not isinstance(facts, dict):
        raise Unreadable("facts are not a JSON object")
    if not isinstance(says_ready, bool):
        raise Unreadable("says_ready is neither true nor false")
    return Ready(port, facts, says_ready)


def is_made(line: bytes) -> bool:
    """Whether this line says that the session has been made. What is said before it is nothing to us."""
    try:
        return read_object(line).get("type") == "ready"
    except Unreadable:
        return False


def read_line(line: bytes) -> Sequence[Told]:
    """What one line of a session tells.

    Raises:
        Unreadable: it is none of those that there are.
    """
    told = read_object(line)
    utterance = identifier(told, "utterance")
    match told.get("type"):
        case "ready" | "started":
            return ()
        case "partial":
            stable, heard_to = number(told, "stable_chars", MAX_TEXT), number(told, "audio_end_ms", MAX_MS)
            return (
                Partial(
                    _needed(told), int(stable or 0), utterance, None if heard_to is None else round(heard_to)
                ),
            )
        case "eager":
            return (Eager(_needed(told), utterance),)
        case "resumed":
            return (Resumed(utterance),)
        case "endpoint":
            return (Endpoint(utterance),)
        case "final":
            return (Final(_needed(told), utterance, flag(told, "degraded")),)
        case "dropped":
            return (Dropped(reason(told, "reason"), utterance),)
        case "failed":
            return (Failed(reason(told, "reason") or "the script gave up"),)
    raise Unreadable("a line of a type that there is not")


def _needed(told: dict[str, Any]) -> str:
    if not isinstance(told.get("text"), str):
        raise Unreadable("a line has no text")
    return text(told, "text")
