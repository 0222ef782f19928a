"""Reading what came over a network as JSON, with care. Pure.

JSON does not say which type a field has, how long a text is, or how large a number. Each reader here takes a
value of one kind within bounds, and raises ``TypeError`` or ``ValueError`` otherwise; :func:`careful` makes
one :class:`BadPayload` of whatever is wrong with a message.
"""

from __future__ import annotations

import functools
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "MAX_ID",
    "MAX_TEXT",
    "BadPayload",
    "careful",
    "dump_json",
    "load_json",
    "read_count",
    "read_figure",
    "read_flag",
    "read_list",
    "read_maybe",
    "read_name",
    "read_names",
    "read_seconds",
    "read_text",
    "read_whole",
    "typed",
]

P = ParamSpec("P")
T = TypeVar("T")

MAX_ID = 256
"""Characters of a name."""

MAX_TEXT = 2_000
"""Characters of a prompt and the like; the 224 tokens that Whisper keeps of one are fewer."""

MAX_NAMES = 200
MOST = 2**53
"""Whole numbers up to this are the same everywhere."""


class BadPayload(ValueError):
    """A message is none of this protocol. The link that it came by is ended."""


def careful(read: Callable[P, T]) -> Callable[P, T]:
    """Whatever a message lacks or has too much of becomes a :class:`BadPayload`."""

    @functools.wraps(read)
    def carefully(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return read(*arguments, **named)
        except BadPayload:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, struct.error) as error:
            raise BadPayload(f"a message cannot be understood: {type(error).__name__}") from None

    return carefully


def typed(value: Any, *kinds: type) -> Any:
    """A value of one of these types. A bool is no number here."""
    if type(value) not in kinds:
        raise TypeError(type(value).__name__)
    return value


def read_text(value: Any, most: int = MAX_TEXT) -> str:
    """At most so many characters."""
    text = str(typed(value, str))
    if len(text) > most:
        raise ValueError("a text is too long")
    return text


def read_name(value: Any) -> str:
    """An identifier, a code."""
    return read_text(value, MAX_ID)


def read_maybe(value: Any, read: Callable[[Any], T]) -> T | None:
    """None, or what ``read`` reads."""
    return None if value is None else read(value)


def read_whole(value: Any) -> int:
    """A whole number."""
    whole = int(typed(value, int))
    if not -MOST <= whole <= MOST:
        raise ValueError("a number is too large")
    return whole


def read_count(value: Any) -> int:
    """One that is not negative."""
    count = read_whole(value)
    if count < 0:
        raise ValueError("a count is negative")
    return count


def read_figure(value: Any) -> float:
    """A number that is finite."""
    figure = float(typed(value, int, float))
    if not math.isfinite(figure):
        raise ValueError("a figure is not finite")
    return figure


def read_seconds(value: Any) -> float:
    """A time, not negative."""
    seconds = read_figure(value)
    if seconds < 0:
        raise ValueError("a time is negative")
    return seconds


def read_flag(value: Any) -> bool:
    """True or false, and no number."""
    return bool(typed(value, bool))


def read_list(value: Any, most: int) -> list[Any]:
    """At most so many items."""
    items: list[Any] = typed(value, list)
    if len(items) > most:
        raise ValueError("a list is too long")
    return items


def read_names(value: Any, most: int = MAX_NAMES) -> tuple[str, ...]:
    """A list of names."""
    return tuple(read_name(item) for item in read_list(value, most))


def dump_json(fields: Mapping[str, Any]) -> str:
    """An object as text. Figures of a model may be numpy's."""
    return json.dumps(fields, separators=(",", ":"), default=lambda value: value.item())


def load_json(text: str | bytes) -> dict[str, Any]:
    """And back; ``TypeError`` where it is no object."""
    fields: dict[str, Any] = typed(json.loads(text), dict)
    return fields
