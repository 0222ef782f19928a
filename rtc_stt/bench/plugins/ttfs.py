"""Time to the final segment: what was seen of each clip, and what it comes to. Pure.

Pipecat's turn strategies wait for a final after its detector has told the end of speech. How long that takes
is measured here from ``VADUserStoppedSpeakingFrame`` to the ``TranscriptionFrame`` that has the text.
Pipecat's own figure (TTFS, its TTFB metric) begins ``stop_secs`` earlier, at the end of speech itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.bench.result import Mark, percentiles
from rtc_stt.bench.words import word_errors

__all__ = ["MARK_MS", "OURS", "THEIRS", "Played", "figures", "marks", "table", "waits_ms", "with_table"]

OURS, THEIRS = "rtc-stt", "pipecat-whisper"

BEGIN, END = "<!-- ttfs: python -m rtc_stt.bench.plugins --table -->", "<!-- end of ttfs -->"

MARK_MS = 50.0
"""At most so long until the final at p95, with the demo models."""


@dataclass(frozen=True, slots=True)
class Played:
    """One clip, as one service heard it. Times are in seconds on one clock."""

    clip: str
    service: str
    reference: str
    stops: tuple[float, ...]
    """When the detector told the end of speech; a pause in a clip may be one."""
    finals: tuple[tuple[float, str], ...]
    """When which text was committed; no blank ones."""

    @property
    def heard(self) -> str:
        """All of it."""
        return " ".join(text for _, text in self.finals)

    def to_json(self) -> dict[str, Any]:
        """For the result: a row of its own."""
        return {
            "clip": self.clip,
            "service": self.service,
            "waits_ms": [round(wait, 1) for wait in waits_ms(self)],
            "errors": word_errors(self.reference, self.heard)[0],
        }


def waits_ms(played: Played) -> list[float]:
    """For each end of speech, how long its final took; left out where speech went on before there was one."""
    waits: list[float] = []
    for number, stop in enumerate(played.stops):
        until = played.stops[number + 1] if number + 1 < len(played.stops) else float("inf")
        times = [at for at, _ in played.finals if stop <= at < until]
        if times:
            waits.append((times[-1] - stop) * 1000)
    return waits


def figures(rows: Sequence[Played]) -> dict[str, Any]:
    """By service: p50, p95, p99 of the waits in ms, word error rate, clips without a final; and the ratios.

    Only clips that both services have answered are compared.
    """
    answered = {(row.clip, row.service) for row in rows if row.finals}
    both = {clip for clip, _ in answered if {(clip, OURS), (clip, THEIRS)} <= answered}
    told: dict[str, Any] = {}
    for name in (OURS, THEIRS):
        mine = [row for row in rows if row.service == name]
        counts = [word_errors(row.reference, row.heard) for row in mine]
        told[name] = {
            "wait_ms": percentiles(wait for row in mine if row.clip in both for wait in waits_ms(row)),
            "word_error_rate": _share(sum(e for e, _ in counts), sum(n for _, n in counts)),
            "unanswered": sum(not row.finals for row in mine),
        }
    ours, theirs = told[OURS]["wait_ms"], told[THEIRS]["wait_ms"]
    told["ratio"] = {p: _share(theirs[p], ours[p], 1) for p in ("p50", "p95", "p99") if ours.get(p)}
    return told


def marks(found: Mapping[str, Any]) -> list[Mark]:
    """What ours has to reach."""
    return [Mark("final_within_ms_p95", found[OURS]["wait_ms"].get("p95"), MARK_MS)]


def table(found: Mapping[str, Any]) -> str:
    """As Markdown."""
    lines = [
        "| from the detector's stop to the final | p50 | p95 | p99 | n | words wrong |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, label in ((OURS, "`RtcSTTService`"), (THEIRS, "Pipecat's `WhisperSTTService`")):
        waits = found[name]["wait_ms"]
        cells = [f"{waits[p]:.0f} ms" if p in waits else "–" for p in ("p50", "p95", "p99")]
        rate = found[name]["word_error_rate"]
        wrong = "–" if rate is None else f"{rate:.1%}"
        lines.append(f"| {label} | {' | '.join(cells)} | {waits['n']} | {wrong} |")
    ratios = [f"{found['ratio'][p]:g}×" if p in found["ratio"] else "–" for p in ("p50", "p95", "p99")]
    lines.append(f"| ratio | {' | '.join(ratios)} | | |")
    return "\n".join(lines)


def with_table(document: str, result: Mapping[str, Any]) -> str:
    """A document with the table of a result between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN!r} and {END!r} in it")
    about = result["provenance"]
    note = (
        f"{result['figures'][OURS]['wait_ms']['n']} ends of speech, model {result['model']} for both, "
        f"`stop_secs` {result['stop_secs']:g}, pipecat-ai {result['pipecat-ai']}, "
        f"{about['machine']['cpu']}, {about['machine']['cores']} cores, {about['date']}."
    )
    return f"{before}{begin}\n{table(result['figures'])}\n\n{note}\n{end}{after}"


def _share(part: float, whole: float, digits: int = 4) -> float | None:
    return round(part / whole, digits) if whole else None
