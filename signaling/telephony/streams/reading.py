"""What messages of media streams have in common: JSON of strangers, and names of audio formats. Pure.

Nothing here raises, whatever comes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from signaling.audio_format import MAX_RATE, MIN_RATE, AudioFormat
from signaling.telephony.streams.stream_dialect import Form, Packets

__all__ = ["Fields", "find", "first_of", "read_base64", "read_form", "read_int", "read_object"]

Fields = Mapping[str, Any]

MAX_DIGITS = 18
"""Of a number: milliseconds since 1970 have 13."""

_NAMES = {
    "mulaw": ("mulaw", "ulaw", "pcmu", "g711u", "g711_ulaw", "g711-ulaw", "basic"),
    "alaw": ("alaw", "pcma", "g711a", "g711_alaw", "g711-alaw"),
    "pcm_s16le": (
        *("l16", "linear16", "slin", "slin16", "raw", "raw/slin", "pcm", "pcm16", "lpcm", "s16le"),
        *("pcm_s16le", "linear", "base64"),
    ),
    "G722": ("g722",),
    "opus": ("opus",),
}
ENCODINGS = {name: encoding for encoding, names in _NAMES.items() for name in names}
"""What senders call their encodings, lower case, without ``audio/`` and ``x-``. Exotel says ``base64`` and
means samples."""

DEFAULT_RATES = {"mulaw": 8_000, "alaw": 8_000, "slin16": 16_000}


def read_object(message: str) -> dict[str, Any] | None:
    """A text that is one JSON object; None where it is anything else."""
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def find(body: Fields, path: str) -> Any:
    """What is at ``start.mediaFormat.encoding``; None where there is nothing."""
    found: Any = body
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def first_of(body: Fields, *paths: str) -> str:
    """The first of several places that has a text or a number, as text; empty where none has."""
    for path in paths:
        value = find(body, path)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def read_int(text: str) -> int | None:
    """A whole number, not negative, as carriers write it: ``20``, ``"20"``, ``20.0``."""
    whole, _, fraction = text.partition(".")
    if not whole.isascii() or not whole.isdigit() or len(whole) > MAX_DIGITS or fraction.strip("0"):
        return None
    return int(whole)


def read_base64(value: object) -> bytes | None:
    """The bytes that a text stands for (RFC 4648 §4); None where it stands for none."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def read_form(encoding: str, rate: str = "", channels: str = "", *, default_rate: int = 8_000) -> Form | None:
    """The form of audio as it is stated, e.g. ``audio/x-mulaw``, ``audio/l16;rate=16000``, ``L16@24000h``.

    Args:
        rate: in Hz, where it is told apart.
        default_rate: of samples, where no rate is told at all.

    Returns:
        None where it is none that is decoded here: it is not guessed at.
    """
    name, _, parameters = encoding.strip().lower().partition(";")
    name, _, at_rate = name.strip().partition("@")
    name = name.removeprefix("audio/").removeprefix("x-")
    known = ENCODINGS.get(name)
    if known is None:
        return None
    if known in ("G722", "opus"):
        return Packets(known)
    told = dict(part.strip().partition("=")[::2] for part in parameters.split(";"))
    text = rate or told.get("rate", "") or at_rate.rstrip("hz")
    hertz = read_int(text) if text else DEFAULT_RATES.get(name, DEFAULT_RATES.get(known, default_rate))
    count = read_int(channels) if channels else 1
    if hertz is None or not MIN_RATE <= hertz <= MAX_RATE or count not in (1, 2):
        return None
    return AudioFormat(known, hertz, count)
