"""Values of a client's JSON: each is checked, and refused by the name of its place. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

from signaling.dialects.openai.errors import Refusal

__all__ = [
    "boolean",
    "check_fields",
    "integer",
    "is_sendable",
    "language",
    "number",
    "object_of",
    "one_of",
    "parse",
    "text",
    "texts",
]

MAX_CHARS = 16_384
MAX_MARKS = 64
"""Of a longer message. Audio as base64 has none, and a megabyte of brackets takes 60 ms to read."""

MAX_LIST = 100
MAX_LANGUAGE_CHARS = 16
MAX_WORD_CHARS = 200


def parse(message: str) -> dict[str, Any]:
    """A message as the object that it should be. Takes some milliseconds at most.

    Raises:
        Refusal: it is none, or is long without being audio.
    """
    if len(message) > MAX_CHARS and sum(map(message.count, ",:[{")) > MAX_MARKS:
        raise Refusal(f"a message that is not audio has at most {MAX_CHARS} characters", code="too_long")
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        raise Refusal("a message is one JSON object", code="invalid_json") from None
    if not isinstance(body, dict):
        raise Refusal("a message is one JSON object", code="invalid_json")
    return body


def is_sendable(told: object, limit: int) -> bool:
    """Whether it is text that can be sent back: JSON lets half characters in, UTF-8 does not let them out."""
    return isinstance(told, str) and len(told) <= limit and not any("\ud800" <= c <= "\udfff" for c in told)


def check_fields(body: Collection[str], at: str, known: Collection[str]) -> None:
    """Whether it has no others.

    Raises:
        Refusal: it has.
    """
    for name in body:
        if name not in known:
            place = f"{at}.{ascii(name[:64])[1:-1]}"
            raise Refusal(f"{place} is not offered", code="unknown_parameter", param=place)


def object_of(told: object, at: str) -> dict[str, Any]:
    """An object.

    Raises:
        Refusal: it is none; so of all that follow.
    """
    if not isinstance(told, dict):
        raise _wrong(at, "an object")
    return told


def text(told: object, at: str, limit: int) -> str:
    """Text of at most so many characters; null is none."""
    if told is None:
        return ""
    if not isinstance(told, str) or not is_sendable(told, limit):
        raise _wrong(at, f"text of at most {limit} characters")
    return told


def texts(told: object, at: str) -> tuple[str, ...]:
    """A list of them."""
    if not isinstance(told, list) or len(told) > MAX_LIST:
        raise _wrong(at, f"a list of at most {MAX_LIST} texts")
    return tuple(text(one, at, MAX_WORD_CHARS) for one in told)


def one_of(told: object, at: str, choices: tuple[str, ...]) -> str:
    """One of these."""
    if not isinstance(told, str) or told not in choices:
        raise _wrong(at, " or ".join(map(repr, choices)))
    return told


def boolean(told: object, at: str) -> bool:
    """True or false."""
    if not isinstance(told, bool):
        raise _wrong(at, "true or false")
    return told


def integer(told: object, at: str, low: int, high: int) -> int:
    """A whole number within bounds."""
    if type(told) is not int or not low <= told <= high:
        raise _wrong(at, f"a whole number from {low} to {high}")
    return told


def number(told: object, at: str, low: float, high: float) -> float:
    """A number within bounds."""
    if type(told) not in (int, float):
        raise _wrong(at, f"a number from {low:g} to {high:g}")
    assert isinstance(told, int | float)
    if not math.isfinite(told) or not low <= told <= high:
        raise _wrong(at, f"a number from {low:g} to {high:g}")
    return float(told)


def language(told: object, at: str) -> str | None:
    """A code of ISO 639-1; of a longer tag (BCP 47) what comes first. None where it is to be detected."""
    code = text(told, at, MAX_LANGUAGE_CHARS).replace("_", "-").partition("-")[0].strip().lower()
    return code or None


def _wrong(at: str, what: str) -> Refusal:
    return Refusal(f"{at} is {what}", param=at)
