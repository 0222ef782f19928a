"""The tables of ``docs/operate/rolling-update.md``, from the committed results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["operations"]

SCENES = {
    "behind_a_proxy": "two of each role behind nginx",
    "one_box_handed_over": "one gateway, the next one up before it goes",
    "one_box_started_again": "one gateway, started again",
}


def operations(rolling: Mapping[str, Any], startup: Mapping[str, Any]) -> str:
    """Markdown: what ``python -m tools.operations`` found."""
    return "\n".join([*_rolling(rolling), "", *_startup(startup)])


def _rolling(rolling: Mapping[str, Any]) -> list[str]:
    scenes = [rolling[name] for name in SCENES]
    rows = {
        "processes replaced": [len(scene["replaced"]) for scene in scenes],
        "drain, s": [_range(r["drained_s"] for r in scene["replaced"]) for scene in scenes],
        "words spoken / in no final / in two": [_words(scene["talkers"]) for scene in scenes],
        "sessions of the speakers": [sum(t["sessions"] for t in scene["talkers"]) for scene in scenes],
        "longest time without a session, s": [scene["longest_gap_s"] for scene in scenes],
        "recordings answered / failed": [_requests(scene["requests"]) for scene in scenes],
        "– longest wait, s": [
            max(asked["seconds"]["longest"] for asked in scene["requests"].values()) for scene in scenes
        ],
        "newcomers welcomed / refused": [_newcomers(scene["newcomers"]) for scene in scenes],
    }
    lines = [f"| `rolling` | {' | '.join(SCENES.values())} |", "| --- | --- | --- | --- |"]
    return [*lines, *(f"| {name} | {' | '.join(map(str, cells))} |" for name, cells in rows.items())]


def _range(seconds: Any) -> str:
    found = sorted(seconds)
    return f"{found[0]:.1f} … {found[-1]:.1f}"


def _words(talkers: Any) -> str:
    return " / ".join(str(sum(t[name] for t in talkers)) for name in ("words", "words_lost", "words_twice"))


def _requests(requests: Mapping[str, Any]) -> str:
    kinds = requests.values()
    return f"{sum(asked['answered'] for asked in kinds)} / {sum(len(asked['failed']) for asked in kinds)}"


def _newcomers(newcomers: Mapping[str, Any]) -> str:
    ways = newcomers.values()
    return f"{sum(came['welcomed'] for came in ways)} / {sum(len(came['refused']) for came in ways)}"


def _startup(startup: Mapping[str, Any]) -> list[str]:
    stories = startup["stories"]
    seen = {
        "nginx, then a client, then the gateway": "502, and a client of ours that goes on trying",
        "gateway, then its fallback": "finals of the fast tier; `route.decision` says so",
        "primary, then its fallback": "502 `fallback_failed`; `degraded` for who takes that",
        "the fallback dies and comes back": "as above",
        "the model comes late": "nothing listens; it ends with 1 and says what it lacks, and is begun anew",
    }
    lines = [
        f"| `startup`: what is missing is away for {startup['away_s']:g} s | meanwhile | well after, s |",
        "| --- | --- | --- |",
    ]
    return [*lines, *(f"| {name} | {seen[name]} | {stories[name]['healed_s']:.1f} |" for name in stories)]
