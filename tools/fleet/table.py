"""The tables of ``docs/guides/scale-out.md``, from the committed results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["cost_table", "fleet_tables"]

WHAT = {
    "none": "nothing (the control)",
    "replica_killed": "SIGKILL to a replica",
    "replica_stopped": "SIGSTOP to a replica",
    "redis_killed": "Redis killed, back empty",
    "gateway_killed": "SIGKILL to a gateway",
    "all_replaced": "gateways and replicas replaced",
    "head_killed": "Ray's head killed, and back",
}
HEAD = (
    "| what is done | for, s | words: spoken / in no final / in two / otherwise | events missed | "
    "goes on, s | longest silence, s: before / while / after | end to final p95, s: before / while / after | "
    "newcomers: greeted / refused (until, s) |"
)


def fleet_tables(faults: Mapping[str, Any], scale: Mapping[str, Any]) -> str:
    """Markdown: what ``python -m tools.fleet`` found."""
    rows = [row for name, told in faults["faults"].items() for row in _fault(name, told)]
    head = f"`faults`, {faults['speakers']} sessions:"
    return "\n".join([head, "", HEAD, "| --- " * 8 + "|", *rows, "", *_scale(scale)])


def _fault(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    if "lived" not in told:
        yield f"| {WHAT[name]} | – | it could not be run: {told['failed'][:80]} | | | | | |"
        return
    for key, of in (("lived", ""), ("gateway_died", ", the sessions that it had")):
        if group := told[key]:
            waits = group["end_to_final_s"]
            cells = [
                WHAT[name] + of,
                told["lasted_s"],
                " / ".join(
                    str(sum(way[kind] for way in group["words"].values()))
                    for kind in ("spoken", "in_no_final", "in_two", "other")
                ),
                group["events_missed"],
                group["gone_on_after_s"],
                " / ".join(str(group["longest_silence_s"][phase]) for phase in waits),
                " / ".join("–" if waits[p]["p95"] is None else f"{waits[p]['p95']:.2f}" for p in waits),
                _arrivals(told["arrivals"]) if key == "lived" else "",
            ]
            yield f"| {' | '.join(map(str, cells))} |"


def _arrivals(told: Mapping[str, Any]) -> str:
    until = f" ({told['refused_until_s']:g})" if told["refused"] else ""
    return f"{told['welcomed']} / {told['refused']}{until}"


def _scale(scale: Mapping[str, Any]) -> Iterator[str]:
    yield f"`scale`, {scale['streams']} streams, {scale['seconds']:g} s each:"
    yield ""
    yield "| workers | decodes/s | processor seconds of a decode | cores of the workers | cores, of all |"
    yield "| --- | --- | --- | --- | --- |"
    for workers, runs in scale["workers"].items():
        columns = (
            [run["decodes_per_s"] for run in runs],
            [run["cpu_s_of_workers_per_decode"] for run in runs],
            [run["cores_of_workers"] for run in runs],
            [f"{run['cores']['busy']:g} of {run['cores']['there']:g}" for run in runs],
        )
        yield f"| {workers} | {' | '.join(', '.join(map(str, column)) for column in columns)} |"
    yield ""
    yield f"Two against one: {scale['two_against_one']:g} times the decodes."


def cost_table(latency: Mapping[str, Any], overhead: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Markdown: what a decode elsewhere and a shared limit take, p50 and p95 in ms."""
    ways, batches, cost = latency["ways"], overhead["batches"], limits["cost_ms"]
    rows = [
        ("endpoint to final, WebRTC, one session", ways["local"], ways["ray"], "endpoint_to_final_ms"),
        ("end of speech to final", ways["local"], ways["ray"], "end_of_speech_to_final_ms"),
    ]
    told = [(what, here[key], there[key]) for what, here, there, key in rows]
    for name, sizes in batches.items():
        what = f"a decode of {name.removeprefix('of_')} ({sizes['here_ms']['calls']} calls)"
        told.append((what, sizes["here_ms"], sizes["replica_ms"]))
    told.append(("a request that is counted against a limit", cost["alone"], cost["shared"]))
    lines = [
        f"| {what} | {here['p50']:.1f} / {here['p95']:.1f} | {there['p50']:.1f} / {there['p95']:.1f} |"
        for what, here, there in told
    ]
    attack = limits["attack"]
    return "\n".join(
        [
            "| ms, p50 / p95 | here | in Ray, by Redis |",
            "| --- | --- | --- |",
            *lines,
            "",
            f"Limits over two gateways: {attack['keys']} keys asked {attack['asked']:,} times in "
            f"{attack['seconds']:g} s and were granted {attack['granted']:,}; "
            f"theirs were {attack['allowed_at_least']:,} to {attack['allowed_at_most']:,}. "
            f"Refused of {attack['neighbours_asked']:,} requests of others: {attack['neighbours_refused']}.",
        ]
    )
