"""The README's tables, made from the committed results: ``python -m tools.live_line table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["BEGIN", "END", "README", "table", "with_table"]

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
RESULTS = ROOT / "docs" / "results"
BEGIN, END = "<!-- results: python -m tools.live_line table -->", "<!-- end of results -->"


def with_table(text: str) -> str:
    """The README with its tables as the results are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def table() -> str:
    """Both tables, as markdown."""
    latency, accuracy, soak = _read("latency"), _read("accuracy"), _read("soak")
    final, whole, first = (latency[key] for key in ("endpoint_to_final_ms", "ttfs_ms", "ttfp_ms"))
    rates, noisy = accuracy["word_error_rate_percent"], accuracy["routing"]["noisy"]
    rows = [
        ("endpoint to final, p50 / p95", _ms(final["client"])),
        ("true end of speech to final, p50 / p95", _ms(whole)),
        ("true start of speech to the first right partial, p50 / p95", _ms(first)),
        ("stable text taken back", f"{latency['stability']['stable_text_retracted']} times"),
        (
            f"word error rate through the live path / offline, all {rates['all']['clips']} clips",
            f"{rates['all']['live']} / {rates['all']['offline']} %",
        ),
        *(
            (f"– {name}", f"{rates[name]['live']} / {rates[name]['offline']} %")
            for name in rates
            if name != "all"
        ),
        (f"memory over {soak['minutes']:g} minutes of one session", f"{soak['growth_percent']:+} %"),
    ]
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    lines += ["", "What routing does on the noisy clips:", ""]
    lines += ["| | utterances | fast tier alone | sent |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {row['utterances']} | {row['wer_fast_alone']} % | {row['wer_sent']} % |"
        for name, row in noisy.items()
    ]
    return "\n".join([*lines, "", *_many_speakers(_read("decode"))])


def _many_speakers(decode: dict[str, Any]) -> list[str]:
    """What the machine carries: ``rtc-stt bench decode``."""
    cost, live, load = decode["cost"]["padded"], decode["live"], decode["overload"]
    ratios, eight, flood = cost["ratio_to_faster_whisper"], live["eight"], live["eight_beside_a_flood"]
    lag = decode["monologue"]["partial_lag_ms"]
    rows = [
        (
            "CPU time of a 3 s partial, `small`, to `faster_whisper.transcribe()`'s: one session / eight",
            f"{ratios['one_session']:.2f} / {ratios['eight_sessions']:.2f}",
        ),
        (
            f"{live['sessions']} speakers: end of speech to final p95 / beside one who floods partials",
            f"{eight['ttfs_ms']['p95']:.0f} / {flood['ttfs_ms']['p95']:.0f} ms",
        ),
        (
            f"overload, {load['sessions']} speakers let in: finals lost / refused at the door",
            f"{load['admitted']['lost']} of {load['admitted']['finals']} / {load['door']['refused']}",
        ),
        ("– normal again after", f"{load['recovery_s']} s"),
        (
            "five minutes without a pause: lag of partials, first / last minute",
            f"{lag['first']['p50']:.0f} / {lag['last']['p50']:.0f} ms",
        ),
    ]
    head = [
        "Many speakers on the same machine (`rtc-stt bench decode`, [what it means](docs/benchmark.md)):",
        "",
    ]
    return [*head, "| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]


def _ms(figures: dict[str, float]) -> str:
    return " / ".join(f"{v:.0f}" if v >= 10 else f"{v}" for v in (figures["p50"], figures["p95"])) + " ms"


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))
