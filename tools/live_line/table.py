"""Tables in the documents, made from the committed results: ``python -m tools.live_line table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rtc_stt.bench.wer.report import sentence
from tools.fleet.table import cost_table, fleet_tables
from tools.operations.table import operations
from tools.services.table import services

__all__ = ["DOCUMENTS", "with_table", "write_tables"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
BEGIN, END = "<!-- results: python -m tools.live_line table -->", "<!-- end of results -->"


def with_table(document: Path) -> str:
    """A document with its tables as the results are now."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{DOCUMENTS[document]()}\n{END}{after}"


def write_tables() -> None:
    """All of them anew."""
    for document in DOCUMENTS:
        document.write_text(with_table(document), encoding="utf-8")


def _readme() -> str:
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
    lines += ["", *_many_speakers(_read("decode"))]
    return "\n".join([*lines, "", *_bad_networks(_read("ingest"), _read("loss"))])


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
        "Many speakers on the same machine (`rtc-stt bench decode`, [what it means](docs/benchmarks.md)):",
        "",
    ]
    return [*head, "| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]


def _bad_networks(ingest: dict[str, Any], loss: dict[str, Any]) -> list[str]:
    """The receive path beside aiortc's: ``python -m tools.ingest receive`` and ``loss``."""
    quiet, many, holes = (
        {path: ingest[by][path][name] for path in ("stock", "own")}
        for by, name in (("by_sessions", "1"), ("by_sessions", "20"), ("by_network", "loss_5"))
    )
    rates = {
        path: [row[path]["word_error_rate_percent"] for row in loss["loss"].values()]
        for path in ("stock", "ours")
    }
    lost = " / ".join(name.removesuffix("%") for name in loss["loss"])
    rows = [
        ("packet to 16 kHz audio, p50", *(f"{quiet[path]['delay_ms']['p50']:.1f} ms" for path in quiet)),
        ("– at 5 % loss, p99", *(f"{holes[path]['delay_ms']['p99']:.0f} ms" for path in holes)),
        (
            "audio that arrives at 5 % loss",
            *(f"{holes[path]['media_time_percent']['in_all']:.0f} %" for path in holes),
        ),
        (
            "CPU of one of 20 sessions, % of a core",
            *(f"{many[path]['cpu_percent_per_session']:.2f}" for path in many),
        ),
        (
            f"word error rate at {lost} % loss",
            *(" / ".join(f"{r:.1f}" for r in rates[path]) for path in rates),
        ),
    ]
    head = ["On a bad network (`python -m tools.ingest`, [how](docs/ingest.md#how-it-is-tried)):", ""]
    head += ["| | aiortc as it comes | rtc-stt |", "| --- | --- | --- |"]
    return [*head, *(f"| {name} | {stock} | {own} |" for name, stock, own in rows)]


def _ingest() -> str:
    """Both receive paths side by side, at length."""
    ingest, loss = _read("ingest"), _read("loss")
    networks, crowds = ingest["by_network"], ingest["by_sessions"]
    paths = ("stock", "own")

    def delay(trial: dict[str, Any]) -> str:
        return f"{trial['delay_ms']['p50']:.1f}, {trial['delay_ms']['p99']:.0f} ms"

    def audio(trial: dict[str, Any]) -> str:
        media = trial["media_time_percent"]
        made_up = media["concealed"] + media["lost"]
        return f"{media['in_all']:.0f}" + (f" ({made_up:.1f})" if made_up else "")

    rates = {
        path: [row[path]["word_error_rate_percent"] for row in loss["loss"].values()]
        for path in ("stock", "ours")
    }
    rows = [
        ("packet to 16 kHz audio, median and p99, 1 session", *(delay(crowds[path]["1"]) for path in paths)),
        *(
            (f"– {words}", *(delay(networks[path][name]) for path in paths))
            for name, words in (
                ("loss_5", "at 5 % loss"),
                ("jitter_30_ms", "with 30 ms of jitter"),
                ("jitter_30_ms_reordered", "with 30 ms of jitter, packets out of order"),
            )
        ),
        (
            "media time that arrives at 0, 1, 3, 5, 10 % loss, in % (of it made up)",
            *(", ".join(audio(networks[path][f"loss_{n}"]) for n in (0, 1, 3, 5, 10)) for path in paths),
        ),
        (
            "word error rate at 0, 1, 3, 5, 10 % loss ([demo models](results/loss.json)), in %",
            *(", ".join(f"{rate:.1f}" for rate in rates[path]) for path in rates),
        ),
        (
            f"% of a core per session at {', '.join(crowds['own'])} sessions",
            *(
                ", ".join(f"{t['cpu_percent_per_session']:.2f}" for t in crowds[path].values())
                for path in paths
            ),
        ),
        ("80 sessions: delay, median and p99", *(delay(crowds[path]["80"]) for path in paths)),
        (
            "– frames over 60 ms late, of all",
            *(
                f"{crowds[path]['80']['late_frames']} of {crowds[path]['80']['delay_ms']['n']}"
                for path in paths
            ),
        ),
    ]
    lines = ["| | stock aiortc | rtc-stt |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {stock} | {own} |" for name, stock, own in rows)])


def _ms(figures: dict[str, float]) -> str:
    return " / ".join(f"{v:.0f}" if v >= 10 else f"{v}" for v in (figures["p50"], figures["p95"])) + " ms"


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


def _benchmark() -> str:
    """The HTTP services under load, with a long recording, and for long: ``python -m tools.services``."""
    return services(_read("services_load"), _read("services_memory"), _read("services_soak"))


def _wer() -> str:
    """What routing is worth on the clips: ``rtc-stt bench wer``."""
    result = _read("wer")
    rates, redecoded = result["rates"], result["redecoded"]
    lines = [
        f"| | WER, % (95 %) | CER, % (95 %) | {result['seconds']} an audio hour |",
        "| --- | --- | --- | --- |",
    ]
    for name in ("fast", "accurate", "routed"):
        row = rates["all"][name]
        cells = (f"{row[of]['percent']} ({_to(row[of]['interval_95'])})" for of in ("wer", "cer"))
        lines.append(f"| {name} | {' | '.join(cells)} | {row['seconds_per_audio_hour']:.0f} |")
    lines += ["", "| WER, % | words | fast | accurate | routed |", "| --- | --- | --- | --- | --- |"]
    for name, row in rates["sets"].items():
        ways = (f"{row[way]['wer']['percent']}" for way in ("fast", "accurate", "routed"))
        lines.append(f"| {name} | {row['words']} | {' | '.join(ways)} |")
    reasons = ", ".join(f"{count} `{name}`" for name, count in redecoded["by_reason"].items())
    again = f"{redecoded['redecoded']} of {redecoded['pieces']} ({redecoded['percent']} %)"
    lines += [
        "",
        f"Decoded again: {again}, for {reasons}.",
        "",
        f"> {sentence(result)}",
    ]
    return "\n".join(lines)


def _to(interval_95: list[float]) -> str:
    low, high = interval_95
    return f"{low} to {high}"


def _operations() -> str:
    """What is lost while processes are replaced, and started in a wrong order: ``tools.operations``."""
    return operations(_read("rolling"), _read("startup"))


def _fleet() -> str:
    """What is lost while parts of a fleet are killed, and what its parts cost: ``tools.fleet`` and others."""
    costs = cost_table(_read("fleet_latency"), _read("replica_overhead"), _read("shared_limits"))
    return f"{fleet_tables(_read('fleet_faults'), _read('fleet_scale'))}\n\n{costs}"


DOCUMENTS = {
    ROOT / "README.md": _readme,
    ROOT / "docs" / "ingest.md": _ingest,
    ROOT / "docs" / "benchmarks.md": _benchmark,
    ROOT / "docs" / "wer.md": _wer,
    ROOT / "docs" / "operate" / "rolling-update.md": _operations,
    ROOT / "docs" / "guides" / "scale-out.md": _fleet,
}
"""What makes the tables of each."""
