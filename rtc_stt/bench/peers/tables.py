"""The tables of ``docs/benchmarks.md``, made from the standings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.bench.peers.recipe import OURS, PEERS
from rtc_stt.bench.peers.standings import figure

__all__ = ["BEGIN", "END", "tables", "with_tables"]

BEGIN, END = "<!-- peers: python -m rtc_stt.bench.peers table -->", "<!-- end of peers -->"

NONE = "–"

WORDS = {
    "ttfs_less_hangover_p50_to_best_peer": "TTFS less hangover to the best peer's, p50, one session",
    "ttfs_less_hangover_p95_to_best_peer": "– p95",
    "ttfp_p50_ms": "TTFP p50, ms",
    "retractions": "retractions",
    "normalized_erasure": "normalized erasure",
    "word_error_rate_percent": "word error rate, %: at most the best peer's",
}
"""Names of marks, for people."""


def with_tables(document: str, standings: Sequence[Mapping[str, Any]]) -> str:
    """The document with its tables as these standings have them.

    Raises:
        ValueError: it has no place for them.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} … {END}")
    parts = [tables(one) for one in standings] or ["Nothing has been measured yet."]
    return before + BEGIN + "\n" + "\n\n".join(parts) + "\n" + END + after


def tables(standings: Mapping[str, Any]) -> str:
    """All of one run: latency, text, marks, and where a peer is ahead."""
    parts = [_head(standings), _latency(standings)]
    if not standings["settings"]["cost_only"]:
        parts.append(_text(standings))
    return "\n\n".join([*parts, *_marks(standings), _ahead(standings)])


def _head(standings: Mapping[str, Any]) -> str:
    settings = standings["settings"]
    threads = ", ".join(f"{n} at {count}" for count, n in settings["threads_of_a_decode"].items())
    weights = "random weights: cost only" if settings["cost_only"] else "the same for all"
    data = settings["data"]
    return (
        f"**Models: {settings['models']}** ({weights}). {data.get('scenes', 0)} scenes of "
        f"{', '.join(data.get('sets', ())) or 'all sets'}, language {settings['language']}, hangover "
        f"{settings['hangover_ms']} ms, {_rounds(settings['rounds'])}, {settings['cores']} cores; "
        f"threads of a peer's decode: {threads} sessions. {_where(settings)}"
    )


def _rounds(count: int) -> str:
    return "1 round" if count == 1 else f"{count} rounds in turn"


def _where(settings: Mapping[str, Any]) -> str:
    made = settings.get("provenance", {})
    told = [made.get("machine", {}).get("cpu"), made.get("date"), made.get("commit")]
    return ", ".join(str(word) for word in told if word) + "."


def _latency(standings: Mapping[str, Any]) -> str:
    counts = _counts(standings)
    few, many = counts[0], counts[-1]
    head = ["system", f"TTFS less hangover, p50 / p95, ms, {few} at a time"]
    head += [f"{n} at a time" for n in counts[1:]]
    if many != few:
        head.append(f"p95 of TTFS, {many} to {few}")
    head += [f"timed out, {' / '.join(counts)}", "TTFP p50 / p95, ms", "WEL p50, ms", "cold start, s"]
    rows = []
    for name, by in standings["systems"].items():
        row = [_title(name) + _doubts(by)]
        row += [_pair(by.get(n), "ttfs_less_hangover_ms") for n in counts]
        if many != few:
            row.append(_growth(by, few, many))
        row.append(" / ".join(_timed_out(by.get(n)) for n in counts))
        row += [_pair(by.get(few), "ttfp_ms"), _one(by.get(few), "wel_ms"), _cold(by.get(few))]
        rows.append(row)
    return _table(head, rows)


def _text(standings: Mapping[str, Any]) -> str:
    counts = _counts(standings)
    both = " / ".join(counts)
    head = ["system", f"word error rate, %, {both} at a time", "normalized erasure", "turns with a revision"]
    head += ["retractions", f"false cut-offs, %, {both}", f"extra finals, {both}"]
    rows = []
    for name, by in standings["systems"].items():
        of = [by[n]["summary"] if n in by else {} for n in counts]
        rows.append(
            [
                _title(name),
                " / ".join(_plain(one.get("word_error_rate_percent")) for one in of),
                _plain(of[0].get("normalized_erasure")),
                _plain(of[0].get("unstable_turn_ratio")),
                _plain(of[0].get("retractions")),
                " / ".join(_plain(figure(one, ("false_cut_offs", "0", "percent"))) for one in of),
                " / ".join(_plain(one.get("extra_finals")) for one in of),
            ]
        )
    return _table(head, rows)


def _marks(standings: Mapping[str, Any]) -> list[str]:
    marks = standings["marks"]
    if standings["settings"]["cost_only"]:  # what is said means nothing
        marks = {
            system: {name: mark for name, mark in own.items() if name.startswith("ttfs")}
            for system, own in marks.items()
        }
    names = list(dict.fromkeys(name for own in marks.values() for name in own))
    if not names:
        return []
    rows = []
    for name in names:
        limit = next(own[name]["at_most"] for own in marks.values() if name in own)
        row = [_mark_words(name), _plain(limit)]
        row += [_met(own.get(name)) for own in marks.values()]
        rows.append(row)
    return [_table(["asked of ours", "at most", *(_title(system) for system in marks)], rows)]


def _mark_words(name: str) -> str:
    if name.startswith("ttfs_p95_"):
        many, _, few = name.removeprefix("ttfs_p95_").partition("_sessions_to_")
        return f"p95 of TTFS, {many} sessions to {few}"
    return WORDS[name]


def _met(mark: Mapping[str, Any] | None) -> str:
    if mark is None or mark["value"] is None:
        return NONE
    return _plain(mark["value"]) + ("" if mark["met"] else " (**missed**)")


def _ahead(standings: Mapping[str, Any]) -> str:
    found = standings["better_than_ours"]
    if standings["settings"]["cost_only"]:
        found = [one for one in found if one["figure"].startswith(("TTFS", "timed"))]
    if not found:
        return "No peer is ahead of ours (the better transport, same weights) in any of these figures."
    lines = ["Where a peer is ahead of ours (the better transport, same weights):", ""]
    lines += [
        f"- {one['figure']}, {one['sessions']} at a time: {PEERS[one['peer']].title} "
        f"{_plain(one['peers'])}, ours {_plain(one['ours'])}"
        for one in found
    ]
    return "\n".join(lines)


def _counts(standings: Mapping[str, Any]) -> list[str]:
    """Numbers of sessions, as they stand in JSON, the fewest first."""
    return sorted({n for by in standings["systems"].values() for n in by}, key=int) or ["1"]


def _title(name: str) -> str:
    if name in OURS:
        return OURS[name].title
    return PEERS[name].title


def _doubts(by: Mapping[str, Any]) -> str:
    """What a reader must know before believing a row."""
    said = []
    for count, one in by.items():
        found = [word for word in ("void", "interrupted") if one[word]]
        if one["failures"]:
            found.append(f"{one['failures']} lines failed")
        said += [f"{word} at {count}" for word in found]
    return f" ({', '.join(said)})" if said else ""


def _pair(one: Mapping[str, Any] | None, name: str) -> str:
    figures = one["summary"][name] if one else {}
    if not figures.get("n"):
        return NONE
    return f"{figures['p50']:.0f} / {figures['p95']:.0f}"


def _one(one: Mapping[str, Any] | None, name: str) -> str:
    figures = one["summary"][name] if one else {}
    return f"{figures['p50']:.0f}" if figures.get("n") else NONE


def _growth(by: Mapping[str, Any], few: str, many: str) -> str:
    if few not in by or many not in by:
        return NONE
    alone, crowd = (by[n]["summary"]["ttfs_ms"].get("p95") for n in (few, many))
    return f"{crowd / alone:.2f}×" if alone and crowd else NONE


def _timed_out(one: Mapping[str, Any] | None) -> str:
    return f"{one['summary']['timed_out']} of {one['summary']['turns']}" if one else NONE


def _cold(one: Mapping[str, Any] | None) -> str:
    start = one["cold"].get("start_ms") if one else None
    return NONE if start is None else f"{start / 1000:.1f}"


def _plain(value: float | None) -> str:
    """A number as people write it: 3 and not 3.0."""
    return NONE if value is None else f"{value:g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
