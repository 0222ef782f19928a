"""What a run found: its rows, how and where they were made, and what they sum up to; as a file of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rtc_stt.bench.pacing import MAX_SEND_LAG_MS
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.summary import summarise
from rtc_stt.bench.turns.timelines import Timeline, timeline_from_json
from rtc_stt.errors import BadResult
from rtc_stt.wire import from_plain

__all__ = ["FORM", "Result", "read", "write"]

FORM = 1
"""Of the file. Another number is refused: figures of other meaning must not be compared."""

MAX_FILE_BYTES = 256 * 2**20
"""A row takes about 2 kB: the turns of a week."""

MAX_TEXT = 100_000
"""Characters: a monologue of an hour has half of that."""

MAX_NUMBER = 1e12
"""Thirty years in ms."""

MAX_DEPTH = 20
"""Of objects and lists in each other."""


@dataclass(kw_only=True)
class Result:
    """All of a run. Everything but ``rows`` is fit for JSON as it stands."""

    rows: list[TurnRow]
    target: dict[str, Any]
    """``name``, and the facts of the target."""
    condition: dict[str, Any] = field(default_factory=dict)
    speakers: int = 1
    rounds: int = 1
    hangover_ms: int = 500
    """Silence that the target was configured to wait for."""
    patience_s: float = 10.0
    cost_only: bool = False
    """The models have random weights: texts mean nothing."""
    interrupted: bool = False
    failures: int = 0
    """Lines that failed."""
    extra_finals: dict[str, int] = field(default_factory=dict)
    """By set."""
    cold: dict[str, Any] = field(default_factory=dict)
    """``start_ms``, ``connect_ms`` (percentiles), ``first_turn_ttfs_ms``."""
    send_lag_ms: dict[str, float] = field(default_factory=dict)
    """Percentiles, of all frames."""
    timelines: list[Timeline] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    """``folder``, ``sha256``, ``scenes``."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """See :func:`rtc_stt.bench.result.provenance`."""

    @property
    def void(self) -> bool:
        """Frames left too late: the sender was measured, and not the target."""
        return self.send_lag_ms.get("p99", 0.0) > MAX_SEND_LAG_MS

    @property
    def sets(self) -> list[str]:
        """Those that were played."""
        return sorted({row.set for row in self.rows} | self.extra_finals.keys())

    @property
    def summary(self) -> dict[str, Any]:
        """``all``, and ``sets`` by name: see :func:`~rtc_stt.bench.turns.summary.summarise`."""
        return {
            "all": self._summarise(self.rows, sum(self.extra_finals.values())),
            "sets": {
                name: self._summarise(
                    [row for row in self.rows if row.set == name], self.extra_finals.get(name, 0)
                )
                for name in self.sets
            },
        }

    def _summarise(self, rows: Sequence[TurnRow], extra_finals: int) -> dict[str, Any]:
        return summarise(rows, hangover_ms=self.hangover_ms, extra_finals=extra_finals)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON holds it: objects, lists, texts, finite numbers.

        Raises:
            TypeError, ValueError: a fact that somebody added is not fit for JSON.
        """
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        rows, timelines, extra = own.pop("rows"), own.pop("timelines"), own.pop("extra_finals")
        body = {
            "measurement": "turns",
            "form": FORM,
            **own,
            "void": self.void,
            "extra_finals": extra,
            "summary": self.summary,
            "turns": [asdict(row) for row in rows],
            "timelines": timelines,
        }
        plain: dict[str, Any] = json.loads(json.dumps(body, allow_nan=False))
        return plain

    @classmethod
    def from_json(cls, data: object) -> Result:
        """The inverse of :meth:`to_json`. Its summary is made anew from the rows.

        Raises:
            BadResult: it is no such result, or holds what none can hold; the message says where.
        """
        _within_limits(data, "the file")
        if not isinstance(data, Mapping) or data.get("measurement") != "turns":
            raise BadResult("this is no result of `rtc-stt bench turns`")
        if data.get("form") != FORM:
            raise BadResult(f"this result is of form {data.get('form')!r}, and only {FORM} is read here")
        own = {name: _part(data, name, kind) for name, kind in _KINDS.items()}
        if not isinstance(own["target"].get("name"), str):
            raise BadResult("target has no name")
        for name in ("extra_finals", "send_lag_ms"):
            _numbers(own[name], name)
        rows = [_row(row, f"turns[{n}]") for n, row in enumerate(_part(data, "turns", list))]
        timelines = [
            timeline_from_json(item, f"timelines[{n}]")
            for n, item in enumerate(_part(data, "timelines", list))
        ]
        return cls(rows=rows, timelines=timelines, **own)


_KINDS: dict[str, Any] = {
    "target": dict,
    "condition": dict,
    "speakers": int,
    "rounds": int,
    "hangover_ms": int,
    "patience_s": float,
    "cost_only": bool,
    "interrupted": bool,
    "failures": int,
    "extra_finals": dict,
    "cold": dict,
    "send_lag_ms": dict,
    "data": dict,
    "provenance": dict,
}


def read(path: Path) -> Result:
    """A result from a file.

    Raises:
        BadResult: there is none; the message names the file and what is wrong.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadResult(f"{path} is larger than any result ({MAX_FILE_BYTES // 2**20} MB)")
        return Result.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadResult(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except RecursionError as error:
        raise BadResult(f"{path} is nested deeper than any result") from error
    except ValueError as error:
        raise BadResult(f"{path} is not JSON: {error}") from error
    except BadResult as error:
        raise BadResult(f"{path}: {error}") from error


def write(path: Path, result: Result) -> None:
    """A result to a file: one line for each row, so that it can be read with ``grep`` and compared.

    Raises:
        OSError: it cannot be written.
    """
    parts = []
    for name, value in result.to_json().items():
        if isinstance(value, list) and value:
            lines = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value)
            parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _within_limits(value: object, where: str, depth: int = 0) -> None:
    """Refuses what no result can hold, wherever it stands."""
    if depth > MAX_DEPTH:
        raise BadResult(f"{where} is nested deeper than any result")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise BadResult(f"{where} has a text of {len(value)} characters; {MAX_TEXT} are the most")
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        raise BadResult(f"{where} has a number that cannot have been measured")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _within_limits(name, where, depth)
            _within_limits(item, name, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _within_limits(item, where, depth + 1)


def _part(data: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in data:
        raise BadResult(f"{name} is missing")
    value = data[name]
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise BadResult(f"{name} is of type {type(value).__name__}, not {kind.__name__}")
    if isinstance(value, int | float) and value < 0:
        raise BadResult(f"{name} is below 0")
    return value


def _numbers(values: Mapping[str, object], where: str) -> None:
    if any(type(value) not in (int, float) for value in values.values()):
        raise BadResult(f"{where} holds what is no number")


def _row(value: object, where: str) -> TurnRow:
    if not isinstance(value, Mapping):
        raise BadResult(f"{where} is no object")
    if missing := [item.name for item in fields(TurnRow) if item.name not in value]:
        raise BadResult(f"{where} has no {', '.join(missing)}")
    try:
        row = from_plain(TurnRow, value)
    except ValueError as error:
        raise BadResult(f"{where}: {error}") from error
    assert isinstance(row, TurnRow)
    if below := [name for name in _COUNTS if getattr(row, name) < 0]:
        raise BadResult(f"{where}: {', '.join(below)} is below 0")
    return row


_COUNTS = [item.name for item in fields(TurnRow) if item.type == "int"]
