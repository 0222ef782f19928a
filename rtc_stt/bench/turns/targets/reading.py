"""Reading what other programs say, without belief: every value has a type and a bound. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

__all__ = [
    "MAX_TEXT",
    "Unreadable",
    "code_of",
    "flag",
    "identifier",
    "number",
    "read_object",
    "reason",
    "scrub",
    "text",
]

MAX_TEXT = 20_000
"""Characters of one transcript: twenty minutes of fast speech."""

MAX_ID = 200

MAX_REASON = 200

CODE = re.compile(r"[a-z][a-z_]{2,59}|[A-Z]{3,5}-[0-9]{4}")
"""How services name their errors, such as ``invalid_api_key`` and ``NET-0001``. Sentences are not repeated:
they may quote a key, or what was said."""


class Unreadable(ValueError):
    """A message is not what it should be. ``str()`` says how, and quotes nothing of it."""


def read_object(message: str | bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259).

    Raises:
        Unreadable: it is something else.
    """
    try:
        told = json.loads(message, parse_constant=_refuse)
    except (ValueError, RecursionError):  # ValueError: also bytes that are no UTF-8, numbers of 5,000 digits
        raise Unreadable("a message is not JSON") from None
    if not isinstance(told, dict):
        raise Unreadable("a message is not a JSON object")
    return told


def _refuse(_: str) -> NoReturn:
    raise ValueError


def text(message: dict[str, Any], name: str) -> str:
    """The transcript in that field; empty where there is none.

    Raises:
        Unreadable: it is no text, or too long to be one.
    """
    value = message.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Unreadable(f"{name} is not a text of at most {MAX_TEXT} characters")
    return value.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair can be written nowhere


def identifier(message: dict[str, Any], name: str) -> str:
    """The other side's name for something; empty where there is none. Raises as :func:`text`."""
    value = message.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_ID:
        raise Unreadable(f"{name} is not a text of at most {MAX_ID} characters")
    return value.encode("utf-8", "replace").decode("utf-8")


def flag(message: dict[str, Any], name: str) -> bool:
    """True or false; false where it is not there.

    Raises:
        Unreadable: it is something else.
    """
    value = message.get(name)
    if value is not None and not isinstance(value, bool):
        raise Unreadable(f"{name} is neither true nor false")
    return bool(value)


def number(message: dict[str, Any], name: str, most: float) -> float | None:
    """From 0 to ``most``; None where it is not there.

    Raises:
        Unreadable: it is something else.
    """
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Unreadable(f"{name} is not a number from 0 to {most:g}")
    return value


def code_of(value: object) -> str:
    """The name of an error, where it has one."""
    return value if isinstance(value, str) and CODE.fullmatch(value) else "without a code"


def reason(message: dict[str, Any], name: str) -> str:
    """Why something is so, in one short line that a terminal can show. Raises as :func:`text`."""
    return "".join(c if c.isprintable() else " " for c in text(message, name)[:MAX_REASON])


def scrub(words: str, secret: str | None) -> str:
    """The same without the secret, should the other side have sent it back."""
    return words.replace(secret, "***") if secret else words
