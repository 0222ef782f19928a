"""API keys as the operator writes them: ``API_KEYS``, and the lines of ``API_KEYS_FILE``. Pure.

A line of the file is ``KEY [name=acme] [daily_audio_seconds=3600] [operator=yes]``; what follows a ``#`` is a
comment.
Messages name the file and the line and never quote it: whatever stands there may be a key, or part of one.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rtc_stt.errors import ConfigError
from signaling.settings import MIN_KEY_CHARS
from signaling.usage import Account

__all__ = ["MAX_FILE_BYTES", "MAX_KEYS", "ApiKey", "name_of_digest", "parse_keys", "plain_keys"]

MAX_KEYS = 1_000
"""What a request shows is compared with every key: 50 µs for so many."""

MAX_FILE_BYTES = 256 * 1024
"""Room for so many keys, with names and comments."""

MAX_KEY_CHARS = 512

KEY = re.compile(r"[!-~]+")
"""What an HTTP header may hold without doubt."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{16}")
RESERVED = frozenset({"open", "demo"})
"""Books of those who need no key."""

PURPOSE = b"rtc-stt usage 1\0"
"""Hashed with a key: the digest is good for nothing else."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and in whose book it is."""

    text: str = field(repr=False)
    account: Account
    operator: bool = False
    """Whether it may see what others do."""


def name_of_digest(key: str) -> str:
    """Names a key that has no name: the first 16 hex digits of SHA-256 over a purpose and the key.

    A key has at least 16 characters, which nobody finds by trying, so its digest does not tell it.
    """
    return hashlib.sha256(PURPOSE + key.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def plain_keys(keys: Sequence[str]) -> list[ApiKey]:
    """The keys of ``API_KEYS``; they have no names and no quotas of their own."""
    return [ApiKey(key, Account(name_of_digest(key))) for key in dict.fromkeys(keys)]


def parse_keys(text: str, path: str, others: Sequence[ApiKey] = ()) -> list[ApiKey]:
    """The keys of a file.

    Args:
        path: what to call it in messages.
        others: keys that are good besides, from ``API_KEYS``.

    Raises:
        ConfigError: a line is malformed, a key is too short or there already, two lines of one name have
            different quotas, or there are more than ``MAX_KEYS``.
    """
    places = {key.text: "API_KEYS" for key in others}
    quotas: dict[str, tuple[float | None, int]] = {}
    found: list[ApiKey] = []
    for number, words in _lines(text):
        place = f"{path}:{number}"
        key = _read_line(words, place)
        if key.text in places:
            raise ConfigError(f"{place}: this key is in {places[key.text]} already")
        places[key.text] = f"line {number}"
        name, quota = key.account.name, key.account.daily_audio_s
        before, line = quotas.setdefault(name, (quota, number))
        if before != quota:
            raise ConfigError(f"{place}: name={name} has another daily_audio_seconds in line {line}")
        found.append(key)
        if len(found) + len(others) > MAX_KEYS:
            raise ConfigError(f"{place}: more than {MAX_KEYS} keys")
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Words of each line that has any, comments left out."""
    for number, line in enumerate(text.splitlines(), 1):
        if words := re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split():
            yield number, words


def _read_line(words: list[str], place: str) -> ApiKey:
    text, *options = words
    if not MIN_KEY_CHARS <= len(text) <= MAX_KEY_CHARS:
        raise ConfigError(f"{place}: a key has {MIN_KEY_CHARS} to {MAX_KEY_CHARS} characters")
    if not KEY.fullmatch(text):
        raise ConfigError(f"{place}: a key is of printable ASCII characters")
    told: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in ("name", "daily_audio_seconds", "operator"):
            raise ConfigError(f"{place}: expected KEY [name=…] [daily_audio_seconds=…] [operator=yes]")
        if name in told:
            raise ConfigError(f"{place}: {name} is given twice")
        told[name] = value
    account = Account(_name(told.get("name"), text, place), _quota(told.get("daily_audio_seconds"), place))
    if told.get("operator", "no") not in ("yes", "no"):
        raise ConfigError(f"{place}: operator is yes or no")
    return ApiKey(text, account, operator=told.get("operator") == "yes")


def _name(name: str | None, key: str, place: str) -> str:
    if name is None:
        return name_of_digest(key)
    if not NAME.fullmatch(name) or DIGEST.fullmatch(name) or name in RESERVED or name == key:
        raise ConfigError(
            f"{place}: a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a "
            "letter or digit; open, demo and 16 hex digits are taken"
        )
    return name


def _quota(text: str | None, place: str) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 1e9:
        raise ConfigError(f"{place}: daily_audio_seconds is a number from 0 (as much as it likes) to 1e9")
    return seconds
