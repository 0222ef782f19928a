"""What the user of a carrier or a PBX adds to a stream: custom parameters, metadata, a query. Pure.

Some names mean something here, in each of these places; all others are told on as parameters of the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from signaling.telephony.call_source import AGENT, CALLER, MAX_LEGS

__all__ = ["Wishes", "read_language", "read_wishes"]

OPTIONS = ("language", "prompt", "hotwords")
CALLERS, CALLEES = ("caller", "from"), ("callee", "to")
LEGS = "legs"
"""``caller,agent``: labels of who speaks to the carrier, and of who is spoken to by it."""

MAX_TOKEN_CHARS = 256
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Wishes:
    """See above."""

    token: str | None = field(default=None, repr=False)
    caller: str = ""
    callee: str = ""
    legs: tuple[str, str] = (CALLER, AGENT)
    """Labels of what comes in to the carrier, and of what goes out from it."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of a ``configure``."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """All the rest."""


def read_language(tag: str) -> str:
    """The code of a BCP 47 tag: regions are not told apart."""
    return tag.replace("_", "-").partition("-")[0].strip().lower()


def read_wishes(*told: Mapping[str, object]) -> Wishes:
    """Read them, of several places; what stands first counts. Values that are no texts or numbers do not."""
    found: dict[str, str] = {}
    for place in told:
        for name, value in place.items():
            if isinstance(value, str | int | float) and value != "" and name not in found:
                found[name] = str(value)
    token = found.pop("token", None)
    legs = _read_legs(found.pop(LEGS, ""))
    options: dict[str, object] = {name: found.pop(name) for name in OPTIONS if name in found}
    if "language" in options:
        options["language"] = read_language(str(options["language"]))
    return Wishes(
        token=token if token and len(token) <= MAX_TOKEN_CHARS else None,
        caller=_first(found, CALLERS),
        callee=_first(found, CALLEES),
        legs=legs,
        options=options,
        parameters=found,
    )


def _first(found: dict[str, str], names: tuple[str, ...]) -> str:
    values = [found.pop(name) for name in names if name in found]
    return values[0] if values else ""


def _read_legs(text: str) -> tuple[str, str]:
    labels = [label.strip() for label in text.split(",")]
    if len(labels) > MAX_LEGS or len(set(labels)) < len(labels) or not all(map(_LABEL.fullmatch, labels)):
        return CALLER, AGENT
    if len(labels) == 1:
        labels.append(AGENT if labels[0] != AGENT else CALLER)
    return labels[0], labels[1]
