"""Conversations as carriers hold them, replayed from lists: what comes, and what is to be done about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from signaling.telephony.streams.dialects import KINDS
from signaling.telephony.streams.stream_dialect import Act, Opening, StreamDialect

Step = tuple[dict[str, Any] | str | bytes, list[Act]]


def open_dialect(name: str, **query: str) -> StreamDialect:
    return KINDS[name].make(Opening(query))


def say(dialect: StreamDialect, message: dict[str, Any] | str | bytes) -> list[Act]:
    return list(dialect.receive(json.dumps(message) if isinstance(message, dict) else message))


def replay(dialect: StreamDialect, conversation: Sequence[Step]) -> None:
    for number, (message, acts) in enumerate(conversation):
        assert say(dialect, message) == acts, f"step {number}"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
