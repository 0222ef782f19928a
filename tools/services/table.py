"""The tables of the HTTP services, from their committed results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["services"]


def services(load: Mapping[str, Any], memory: Mapping[str, Any], soak: Mapping[str, Any]) -> str:
    """Markdown: what ``python -m tools.services`` found."""
    return "\n".join([*_load(load), "", *_memory(memory), "", *_soak(soak)])


def _load(load: Mapping[str, Any]) -> list[str]:
    found = load["recordings"]
    seconds = f"{load['steps'][0]['seconds']:.0f}"
    lines = [
        f"`load`: {found['count']} recordings of {found['seconds'] / found['count']:.1f} s on average, "
        f"{seconds} s a step; the knee is at **{load['knee']}**.",
        "",
        "| at a time | requests | latency p50 / p95 / p99, ms | wait p50 / p95, ms | RTF p50 / p95 "
        "| seconds of audio a second | 503 | lost | other texts |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for step in load["steps"]:
        cells = (
            step["concurrency"],
            step["requests"],
            _ranks(step["latency_ms"], "p50", "p95", "p99"),
            _ranks(step["queue_wait_ms"], "p50", "p95"),
            _ranks(step["rtf"], "p50", "p95", digits=3),
            f"{step['throughput']:.1f}",
            step["statuses"].get("503", 0),
            step["lost"],
            step["texts_changed"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _memory(memory: Mapping[str, Any]) -> list[str]:
    lines = [
        "`memory`: what one recording takes, in MiB.",
        "",
        "| | minutes | upload | peak above before | more than the shorter one, less the upload |",
        "| --- | --- | --- | --- | --- |",
    ]
    for ending, found in memory["formats"].items():
        for name in ("short", "long"):
            row = found[name]
            more = f"{found['more_than_the_upload_mib']:+.1f}" if name == "long" else "–"
            sizes = f"{row['upload_mib']:.1f} | {row['took_mib']:.1f}"
            lines.append(f"| {ending} | {row['minutes']:g} | {sizes} | {more} |")
    return lines


def _soak(soak: Mapping[str, Any]) -> list[str]:
    wrong = sum(soak["unexpected"].values())
    lines = [
        f"`soak`: {soak['requests']:,} requests in {soak['minutes']} minutes, "
        f"{soak['audio_hours']:.1f} hours of audio, {soak['broken_off']:,} broken off by the client; "
        f"{soak['lost']} lost, {wrong} answered in another way than they should be.",
        "",
        "| | primary | fallback |",
        "| --- | --- | --- |",
    ]
    names = ("primary", "fallback")
    slopes = (soak["marks"][f"{name}_memory_slope_mib_per_1000_requests"]["value"] for name in names)
    rows = [("memory, MiB per 1,000 requests", *(f"{slope:+.3f}" for slope in slopes))]
    rows.append(("memory at the end, MiB", *(f"{soak[name][-1][1]:.0f}" for name in names)))
    for what in ("descriptors", "threads", "tasks"):
        more = (soak["marks"][f"{name}_more_{what}"]["value"] for name in names)
        rows.append((f"{what}, more than when it was warm", *(f"{value:g}" for value in more)))
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _ranks(figures: Mapping[str, float], *names: str, digits: int = 0) -> str:
    return " / ".join(f"{figures[name]:.{digits}f}" if name in figures else "–" for name in names)
