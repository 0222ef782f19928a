"""The result as a table, as one sentence and as a picture. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.bench.plot import Chart, Line, write

__all__ = ["picture", "sentence", "table"]

BUSY_PERCENT = 10
"""Of their time that decodes may wait for a core. Who waits also finds cold caches, and takes longer then."""

_SHORT = {
    "CONF_LOGPROB_THRESHOLD": "by confidence",
    "CONF_LANGPROB_THRESHOLD": "by language",
    "MIN_WORDS_FOR_CONF": "by words",
}


def table(result: Mapping[str, Any]) -> str:
    """For a terminal."""
    rates, redecoded = result["rates"], result["redecoded"]
    lines = [
        f"{result['recordings']} recordings, {result['audio_s'] / 60:.1f} minutes, {result['words']} words",
        "",
        f"{'':10}{'WER %':>8}  {'95 %':<14}{'CER %':>8}  {'95 %':<14}{result['seconds']} an audio hour",
    ]
    for name in ("fast", "accurate", "routed"):
        row = rates["all"][name]
        cells = (f"{row[of]['percent']:>8.2f}  {_span(row[of]['interval_95']):<14}" for of in ("wer", "cer"))
        lines.append(f"{name:10}{''.join(cells)}{row['seconds_per_audio_hour']:>10.0f}")
    for name in ("fast", "accurate"):
        less = rates["all"][f"routed_less_{name}"]["wer"]
        span = less["interval_95"]
        lines.append(
            f"routed less {name}: {less['percent']:+.2f} points of WER {_span(span)}, {_chance(span)}"
        )
    reasons = ", ".join(f"{name} {count}" for name, count in redecoded["by_reason"].items()) or "none"
    lines.append(
        f"decoded again: {redecoded['redecoded']} of {redecoded['pieces']} pieces "
        f"({redecoded['percent']} %); reasons: {reasons}"
    )
    if rates["sets"]:
        width = max(map(len, rates["sets"]))
        lines += ["", f"{'WER %':{width}}  {'words':>7}{'fast':>8}{'accurate':>10}{'routed':>8}"]
        for name, row in rates["sets"].items():
            fast, accurate, routed = (row[way]["wer"]["percent"] for way in ("fast", "accurate", "routed"))
            lines.append(f"{name:{width}}  {row['words']:>7}{fast:>8.2f}{accurate:>10.2f}{routed:>8.2f}")
    if (waited := result["decodes"].get("waited_percent", 0)) > BUSY_PERCENT:
        lines += [
            "",
            f"The machine was busy: decodes waited {waited} % of their time for a core. The rates are right,",
            "the seconds are too high; measure them where nothing else runs.",
        ]
    return "\n".join([*lines, "", sentence(result)])


def sentence(result: Mapping[str, Any]) -> str:
    """What to set, and what it is worth."""
    best, routed, unit = result["recommended"], result["rates"]["all"]["routed"], result["seconds"]
    less, configured = best["less_configured"]["wer"], result["routing"][best["key"]]
    worth = f"{best['wer']['percent']:.2f} % WER at {best['seconds_per_audio_hour']:.0f} {unit} an audio hour"
    if best["from"] <= configured <= best["to"]:
        said = f"Leave {best['key']}={configured:g}: it is {_what(best)}, {worth}."
    else:
        before = f"{routed['wer']['percent']:.2f} % at {routed['seconds_per_audio_hour']:.0f}"
        said = (
            f"Set {best['set']} (now {configured:g}): it is {_what(best)}, {worth} instead of {before}; "
            f"{less['percent']:+.2f} points {_span(less['interval_95'])}, {_chance(less['interval_95'])}."
        )
    settled = best["stability"]
    values = " to ".join(f"{value:g}" for value in dict.fromkeys(settled["value_95"]))
    said += f" On other draws of these recordings it falls on {values} (95 %)"
    if settled["unseen_wer_percent"] is not None:
        said += f", with {settled['unseen_wer_percent']:.2f} % WER on those left out"
    return f"{said}.{_better_alone(result)}"


def _better_alone(result: Mapping[str, Any]) -> str:
    """Where one model makes all the routing needless, it is said."""
    best, rates = result["recommended"], result["rates"]["all"]
    for name in ("fast", "accurate"):
        cheaper = rates[name]["seconds_per_audio_hour"] <= best["seconds_per_audio_hour"]
        if cheaper and rates[name]["wer"]["percent"] <= best["wer"]["percent"]:
            return f" But the {name} model alone costs no more here and is no less right."
    return ""


def _chance(interval_95: Sequence[float]) -> str:
    low, high = interval_95
    return "no more than chance" if low <= 0 <= high else "more than chance"


def _what(best: Mapping[str, Any]) -> str:
    return "the knee" if best["is_knee"] else "the better end of a curve without a bend"


def _span(interval_95: Sequence[float]) -> str:
    return "[{:.2f}, {:.2f}]".format(*interval_95)


def picture(result: Mapping[str, Any]) -> str:
    """SVG: WER by decode seconds, and what the first key does. The recommendation is marked."""
    best, rates = result["recommended"], result["rates"]["all"]
    ways = [
        Line(_SHORT[key], [(p["seconds_per_audio_hour"], p["wer_percent"]) for p in points])
        for key, points in result["sweep"].items()
    ]
    ways += [
        Line(f"{name} alone", [(rates[name]["seconds_per_audio_hour"], rates[name]["wer"]["percent"])])
        for name in ("fast", "accurate")
    ]
    across = f"{result['seconds']} an audio hour"
    first = next(iter(result["sweep"]))
    mark = best["value"] if best["key"] == first else None

    def by_value(name: str, figure: str) -> Line:
        points = result["sweep"][first]
        return Line(name, [(v, p[figure]) for p in points for v in dict.fromkeys((p["from"], p["to"]))])

    return write(
        [
            Chart("What routing is worth", across, "WER, %", ways, mark=best["seconds_per_audio_hour"]),
            Chart("WER", first, "%", [by_value(_SHORT[first], "wer_percent")], mark=mark),
            Chart(
                "Decoded again",
                first,
                "% of pieces",
                [by_value(_SHORT[first], "redecoded_percent")],
                mark=mark,
            ),
        ]
    )
