"""Results that are known."""

from __future__ import annotations

from typing import Any

from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.rows import TurnRow


def row(turn: int, ttfs_ms: float, **more: Any) -> TurnRow:
    """A turn of four words, all of them right."""
    known: dict[str, Any] = {
        "scene": f"s{turn}",
        "turn": f"s{turn}.1",
        "set": "single",
        "speaker": 0,
        "language": "en",
        "said": "one two three four",
        "heard": "one two three four",
        "finals": 1,
        "is_timed_out": False,
        "eou_ms": 500.0,
        "endpoint_to_final_ms": ttfs_ms - 500,
        "is_cut_off": False,
        "pause_ms": 0,
        "ttfp_ms": 300.0,
        "has_partials": True,
        "wel_ms": (200.0,),
        "partial_lag_ms": (),
        "erased_words": 0,
        "shown_words": 4,
        "revised_words": 0,
        "retractions": 0,
        "word_errors": 0,
        "words": 4,
        "char_errors": 0,
        "chars": 18,
    }
    return TurnRow(ttfs_ms=ttfs_ms, **(known | more))


def result(*ttfs_ms: float, name: str = "x", speakers: int = 1, more: dict[str, Any] | None = None) -> Result:
    """A result with a turn for each of these."""
    return Result(
        rows=[row(n, ms, **(more or {})) for n, ms in enumerate(ttfs_ms)],
        target={"name": name, "kind": "scripted"},
        speakers=speakers,
        cold={"start_ms": 1_000.0, "connect_ms": {"p50": 5.0, "p95": 6.0, "p99": 7.0, "n": 2}},
        send_lag_ms={"p50": 0.1, "p95": 0.2, "p99": 0.3, "n": 100},
        data={"folder": "turns"},
    )
