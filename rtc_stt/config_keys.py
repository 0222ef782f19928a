"""Configuration keys: each with its default, its limits and its manual, and where a value came from.

A key is a field, made by :func:`key`, of a frozen dataclass: a group. Values come from a ``.env`` file, then
the process environment, then flags; later wins. ``docs/reference/configuration.env`` is written from here,
so it cannot go stale.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rtc_stt.errors import ConfigError

__all__ = [
    "Key",
    "Values",
    "build",
    "check_bounds",
    "key",
    "keys",
    "read_env_file",
    "read_environment",
    "reference",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """What is known about one configuration key."""

    name: str
    default: Any
    help: str
    kind: type
    optional: bool
    low: float | None = None
    high: float | None = None
    secret: bool = False


def key(
    name: str,
    default: T,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    secret: bool = False,
) -> T:
    """A dataclass field that is the configuration key ``name``; limits are inclusive."""
    metadata = {"key": name, "help": help, "low": low, "high": high, "secret": secret}
    field: T = dataclasses.field(default=default, metadata=metadata, repr=not secret)
    return field


@dataclass(frozen=True, slots=True)
class Values:
    """Raw values by key, each with the place it came from (``file:line``, ``environment``, ``flag``)."""

    entries: Mapping[str, tuple[str, str]]

    def over(self, base: Values) -> Values:
        """These values, and those of ``base`` where there is none here."""
        return Values({**base.entries, **self.entries})


def keys(group: type) -> dict[str, Key]:
    """The keys of a group by field name."""
    hints = typing.get_type_hints(group)
    found = {}
    for item in dataclasses.fields(group):
        if "key" not in item.metadata:
            continue
        hint, optional = hints[item.name], False
        if isinstance(hint, types.UnionType):
            hint, optional = typing.get_args(hint)[0], True
        hint = typing.get_origin(hint) or hint  # tuple[str, ...] is read as a tuple
        meta = item.metadata
        found[item.name] = Key(
            meta["key"],
            item.default,
            meta["help"],
            hint,
            optional,
            meta["low"],
            meta["high"],
            meta["secret"],
        )
    return found


def read_env_file(path: Path, known: Iterable[str]) -> Values:
    """Read ``KEY=value`` lines; blank lines and ``#`` comments are skipped, one pair of quotes is removed.

    Raises:
        ConfigError: the file cannot be read, or a line is malformed, unknown or given twice; the message
            names the file and the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error}") from error
    known, entries = set(known), dict[str, tuple[str, str]]()
    for number, raw in enumerate(lines, 1):
        line, place = raw.strip(), f"{path}:{number}"
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name.isidentifier():
            raise ConfigError(f"{place}: expected KEY=value")
        if name not in known:
            raise ConfigError(f"{place}: unknown key {name}{_suggestion(name, known)}")
        if name in entries:
            raise ConfigError(f"{place}: {name} is set twice (before: {entries[name][1]})")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        entries[name] = (value, place)
    return Values(entries)


def read_environment(known: Iterable[str], environ: Mapping[str, str] = os.environ) -> Values:
    """The known keys of the process environment; everything else there is none of ours."""
    return Values({k: (environ[k], "environment") for k in known if k in environ})


def build(group: type[T], values: Values) -> T:
    """Make one group from raw values.

    Raises:
        ConfigError: a value is malformed or out of bounds; the message names the key and its origin.
    """
    arguments = {}
    for field_name, spec in keys(group).items():
        if spec.name in values.entries:
            text, place = values.entries[spec.name]
            arguments[field_name] = _parse(spec, text, place)
    return group(**arguments)


def _parse(spec: Key, text: str, place: str) -> Any:
    shown = "(hidden)" if spec.secret else repr(text)
    if text == "" and (spec.optional or spec.kind is not str):
        if spec.optional:
            return None
        return spec.default
    try:
        value = _PARSERS.get(spec.kind, spec.kind)(text)
    except ValueError:
        wanted = (
            "one of " + ", ".join(spec.kind)
            if issubclass(spec.kind, enum.StrEnum)
            else f"of type {spec.kind.__name__}"
        )
        raise ConfigError(f"{place}: {spec.name} must be {wanted}, not {shown}") from None
    check_bounds(spec, value, place)
    return value


def check_bounds(spec: Key, value: Any, place: str) -> None:
    """Raise ConfigError where a number is outside the limits of its key."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        too_low = spec.low is not None and not value >= spec.low
        too_high = spec.high is not None and not value <= spec.high
        if too_low or too_high:
            shown = f"{value:g}" if abs(value) < 1e12 else "that many"
            raise ConfigError(
                f"{place}: {spec.name} must be between {spec.low:g} and {spec.high:g}, not {shown}"
            )


def _parse_bool(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


_PARSERS: dict[type, Callable[[str], Any]] = {bool: _parse_bool, tuple: _parse_list}


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def reference(groups: Iterable[type]) -> str:
    """The annotated configuration file that documents every key."""
    out = []
    for group in groups:
        title = (group.__doc__ or "").strip().splitlines()[0]
        out.append(f"# ── {group.__name__}: {title}\n")
        for spec in keys(group).values():
            limits = "" if spec.low is None else f" [{spec.low:g} … {spec.high:g}]"
            out.append(f"# {spec.help}{limits}\n#{spec.name}={_written(spec.default)}\n")
    return "\n".join(out)


def _written(value: object) -> str:
    """As it stands in a file."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str("" if value is None else value)
