"""The figures of a summary as people read them, the same in the terminal and on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.bench.turns.result import Result

__all__ = [
    "STEADY",
    "TIMES",
    "Column",
    "View",
    "alarms",
    "at",
    "clean",
    "machine",
    "names",
    "number",
    "sentences",
    "sets",
]

_UNSEEN = re.compile(
    # Controls (a terminal obeys them), marks that turn the direction of what follows, halves of characters.
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: object) -> str:
    """Text from elsewhere, with nothing in it that could act on where it is shown."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(text))


@dataclass(frozen=True, slots=True)
class Column:
    """A figure, or one of its percentiles."""

    group: str
    """What stands above several columns."""
    head: str
    path: tuple[str, ...]
    """Where it is in a summary."""
    digits: int = 0
    scale: float = 1.0

    def text(self, summary: Mapping[str, Any]) -> str:
        """As it is shown; a dash where it is not to be had."""
        return number(at(summary, *self.path), self.digits, self.scale)


def _of(group: str, key: str, *percents: int) -> tuple[Column, ...]:
    return tuple(Column(group, f"p{percent}", (key, f"p{percent}")) for percent in percents)


TIMES: tuple[Column, ...] = (
    *_of("TTFS", "ttfs_ms", 50, 95, 99),
    *_of("less hangover", "ttfs_less_hangover_ms", 50, 95, 99),
    *_of("EOU", "eou_ms", 50, 95),
    *_of("TTFP", "ttfp_ms", 50, 95),
    *_of("WEL", "wel_ms", 50, 95),
)
"""All in ms."""

STEADY: tuple[Column, ...] = (
    Column("cut off %", "0 ms", ("false_cut_offs", "0", "percent"), 1),
    Column("cut off %", "300", ("false_cut_offs", "300", "percent"), 1),
    Column("cut off %", "600", ("false_cut_offs", "600", "percent"), 1),
    Column("finals", "missed", ("timed_out",)),
    Column("finals", "extra", ("extra_finals",)),
    Column("taken back", "NE", ("normalized_erasure",), 2),
    Column("taken back", "UPWR", ("unstable_word_ratio",), 2),
    Column("taken back", "UPSR", ("unstable_turn_ratio",), 2),
    Column("taken back", "retr.", ("retractions",)),
    Column("wrong", "WER %", ("word_error_rate_percent",), 1),
    Column("wrong", "CER %", ("char_error_rate_percent",), 1),
)
"""How steady and how right it is."""


def at(mapping: object, *path: str) -> Any:
    """What is at the end of a path of names; None where it does not lead anywhere."""
    for name in path:
        mapping = mapping.get(name) if isinstance(mapping, Mapping) else None
    return mapping


def number(value: object, digits: int = 0, scale: float = 1.0) -> str:
    """As people read it; a dash where there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    return f"{value * scale:.{digits}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True)
class View:
    """A result beside the name that it has among those shown."""

    name: str
    result: Result
    json: Mapping[str, Any]
    """Its JSON form, which is what is shown."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """Of all turns."""
        return self.json["summary"]["all"]  # type: ignore[no-any-return]

    def of_set(self, name: str) -> Mapping[str, Any]:
        """The summary of a set; empty where it was not played."""
        return at(self.json, "summary", "sets", name) or {}


def names(results: Sequence[Result]) -> list[View]:
    """Each with a name of its own: its target's, and what else tells it from its namesakes."""
    forms = [result.to_json() for result in results]
    plain = [clean(at(form, "target", "name") or "unnamed") for form in forms]
    told = [
        f"{name}, {at(form, 'speakers') or 1} at a time" if plain.count(name) > 1 else name
        for form, name in zip(forms, plain, strict=True)
    ]
    told = [
        f"{name} ({chr(ord('A') + index % 26)})" if told.count(name) > 1 else name
        for index, name in enumerate(told)
    ]
    return [View(*one) for one in zip(told, results, forms, strict=True)]


def sets(views: Sequence[View]) -> list[str]:
    """Of all results, in the order in which they come."""
    return list(dict.fromkeys(name for view in views for name in at(view.json, "summary", "sets") or {}))


def sentences(views: Sequence[View]) -> list[str]:
    """What was measured, in words; in one sentence where it was the same of all."""
    told = [_measured(view.json, view.summary) for view in views]
    if len(set(told)) == 1 and len(views) > 1:
        return [f"{', '.join(view.name for view in views)}: each {told[0]}"]
    return [f"{view.name}: {one}" for view, one in zip(views, told, strict=True)]


def _measured(form: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    speakers, rounds = at(form, "speakers") or 1, at(form, "rounds") or 1
    said = (
        f"{number(at(summary, 'turns'))} turns in {rounds} round{'s' * (rounds != 1)}, "
        f"{speakers} speaker{'s' * (speakers != 1)} at a time, {condition(form)}, "
        f"hangover {number(at(form, 'hangover_ms'))} ms"
    )
    return said + (", for the cost only: the models say a fixed text" if at(form, "cost_only") else "")


def condition(form: Mapping[str, Any]) -> str:
    """What was done to the sound, in words."""
    told = at(form, "condition")
    if isinstance(told, Mapping):
        parts = [
            clean(name.replace("_", " "))
            if value is True
            else f"{clean(name.replace('_', ' '))} {clean(value)}"
            for name, value in _leaves(told)
            if value not in (None, False, "", 0)
        ]
        told = ", ".join(parts)
    return clean(told) if told else "clean"


def _leaves(mapping: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        else:
            yield str(name), value


def alarms(view: View) -> Iterator[str]:
    """What a reader must know before any figure."""
    form = view.json
    if at(form, "void"):
        yield (
            f"VOID: frames left late (p99 {number(at(form, 'send_lag_ms', 'p99'), 1)} ms). "
            "This says how busy the sender was, and nothing of the target."
        )
    if at(form, "interrupted"):
        yield "INTERRUPTED: not all turns were played."
    if failures := at(form, "failures"):
        yield f"FAILED: the target refused or dropped a line {failures} times."
    if missed := at(view.summary, "timed_out"):
        yield (
            f"{missed} of {at(view.summary, 'turns')} turns had no final within "
            f"{number(at(form, 'patience_s'))} s; their TTFS counts as that long."
        )


def machine(form: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a reader needs to repeat the run, as names and values."""
    provenance = at(form, "provenance") or {}
    facts = {name: value for name, value in (at(form, "target") or {}).items() if name != "name"}
    told: tuple[tuple[str, object], ...] = (
        ("date", at(provenance, "date")),
        ("processor", at(provenance, "machine", "cpu")),
        ("cores", at(provenance, "machine", "cores")),
        ("Python", at(provenance, "machine", "python")),
        ("commit", at(provenance, "commit")),
        ("target", _flat(facts)),
        ("models", _flat(at(provenance, "models"))),
        ("packages", _flat(at(provenance, "packages"))),
        ("condition", condition(form)),
        ("data", _flat(at(form, "data"))),
        ("send lag, p50 / p99", _pair(at(form, "send_lag_ms"))),
        ("cold start", _flat(at(form, "cold"))),
    )
    for name, value in told:
        if value not in (None, "", "–"):
            yield name, clean(value)


def _pair(percentiles: object) -> str:
    low, high = (number(at(percentiles, name), 1) for name in ("p50", "p99"))
    return "–" if low == high == "–" else f"{low} / {high} ms"


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_flat(inner) for inner in value)
    return "–" if value is None else str(value)
