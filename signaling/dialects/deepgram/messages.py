"""What a client of the live stream says in text. Pure: nothing raises."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signaling.dialects.deepgram.query import NO_EFFECT, hotwords_of
from signaling.dialects.dialect import MAX_TEXT_CHARS

__all__ = [
    "Close",
    "Finalize",
    "KeepAlive",
    "Keyterms",
    "Said",
    "Wrong",
    "WrongKeyterms",
    "read_message",
]

TYPES = ("Finalize", "KeepAlive", "CloseStream", "Configure")


@dataclass(frozen=True, slots=True)
class Finalize:
    """Commit what is heard so far."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The client is there. So it is by the pings of its WebSocket; nothing follows from it."""


@dataclass(frozen=True, slots=True)
class Close:
    """No more audio will come."""


@dataclass(frozen=True, slots=True)
class Keyterms:
    """From here on other words are likely to be said."""

    terms: Sequence[str] | None
    """As the client has them; None: as before."""
    hotwords: str | None
    """The same for ``configure``."""


@dataclass(frozen=True, slots=True)
class WrongKeyterms:
    """A ``Configure`` that is not taken."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """Not a message of the protocol; ``why`` quotes nothing of it."""

    why: str


Said = Finalize | KeepAlive | Close | Keyterms | WrongKeyterms | Wrong


def read_message(text: str) -> Said:
    """Understand what a client says."""
    if len(text) > MAX_TEXT_CHARS:
        return Wrong(f"a message has at most {MAX_TEXT_CHARS} characters")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Wrong("the message is not JSON")
    if not isinstance(body, dict):
        return Wrong("a message is one JSON object")
    match body.get("type"):
        case "Finalize":
            return Finalize()
        case "KeepAlive":
            return KeepAlive()
        case "CloseStream":
            return Close()
        case "Configure":
            return _read_configure(body)
    return Wrong(f"type is one of {', '.join(TYPES)}")


def _read_configure(body: Mapping[str, object]) -> Said:
    features = body.get("features") or {}
    if not isinstance(features, dict) or any(type(on) is not bool for on in features.values()):
        return Wrong("features is an object of true and false")
    if any(on and name not in NO_EFFECT for name, on in features.items()):
        known = ", ".join(NO_EFFECT)
        return WrongKeyterms("CONFIGURE_INTERNAL_ERROR", f"of features only {known} are offered")
    terms = body.get("keyterms")
    if terms is None:
        return Keyterms(None, None)
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        return Wrong("keyterms is a list of texts")
    try:
        return Keyterms(tuple(terms), hotwords_of(terms))
    except ValueError as error:
        return WrongKeyterms("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", f"keyterms: {error}")
