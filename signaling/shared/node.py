"""What gateways tell of themselves, as text and back. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

__all__ = ["MAX_NODES", "Node", "derive_name", "read_nodes", "rename", "write_node"]

MAX_NODES = 1_024
"""Of whom this one takes note."""

MAX_CHARS = 2_048
"""Of what one tells."""

NAME_CHARS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A gateway that lives, or did five seconds ago."""

    name: str
    """No two that live have the same one."""
    url: str
    """Under which the others reach it; empty: they do not."""
    life: str
    """Drawn when its process began: one that comes after it under its name has another."""
    sessions: int = 0
    load: str = "normal"
    """Its load step; see ``/v1/ready``."""
    version: str = ""
    started: float = 0.0
    """Unix time in seconds."""


def derive_name(host: str, port: int) -> str:
    """A short name of who listens there, the same after a restart."""
    return hashlib.sha256(f"{host}:{port}".encode()).hexdigest()[:8]


def rename(name: str, drawn: str) -> str:
    """Another name, where this one is taken.

    Args:
        drawn: random hexadecimal digits.
    """
    return f"{name[: NAME_CHARS - len(drawn) - 1]}x{drawn}"


def write_node(node: Node) -> str:
    """As the others read it: its life, which tells whose the name is, and the rest as JSON."""
    told = asdict(node)
    return f"{told.pop('life')} {json.dumps(told, separators=(',', ':'))}"


def read_nodes(texts: Iterable[bytes]) -> list[Node]:
    """Those that can be read, by name."""
    found = [node for text in list(texts)[:MAX_NODES] if (node := _read(text))]
    return sorted(found, key=lambda node: node.name)


def _read(text: bytes) -> Node | None:
    if len(text) > MAX_CHARS:
        return None
    life, _, rest = text.partition(b" ")
    try:
        told = json.loads(rest)
        return Node(
            name=_text(told["name"]),
            url=_text(told["url"]),
            life=life.decode("ascii"),
            sessions=int(told["sessions"]),
            load=_text(told["load"]),
            version=_text(told["version"]),
            started=float(told["started"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # of another release, or not of ours


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
