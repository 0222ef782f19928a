"""Rows of turns for tests: one that went well, and any that there may be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rtc_stt.bench.turns.rows import TurnRow

WELL: dict[str, Any] = {
    "scene": "s1",
    "turn": "t1",
    "set": "single",
    "speaker": 0,
    "language": "en",
    "said": "book a table",
    "heard": "Book a table.",
    "finals": 1,
    "is_timed_out": False,
    "ttfs_ms": 540.5,
    "eou_ms": 500.0,
    "endpoint_to_final_ms": 40.5,
    "is_cut_off": False,
    "pause_ms": 0,
    "ttfp_ms": 400.0,
    "has_partials": True,
    "wel_ms": (150.0, 200.0),
    "partial_lag_ms": (100.0,),
    "erased_words": 0,
    "shown_words": 3,
    "revised_words": 0,
    "retractions": 0,
    "word_errors": 0,
    "words": 3,
    "char_errors": 0,
    "chars": 10,
}


def made(**changes: Any) -> TurnRow:
    """A turn that went well but for these."""
    return TurnRow(**WELL | changes)


TIMES = st.floats(-1e4, 1e5)
COUNTS = st.integers(0, 10_000)
ROWS = st.builds(
    TurnRow,
    scene=st.text(max_size=8),
    turn=st.text(max_size=8),
    set=st.sampled_from(["single", "pauses-300"]),
    speaker=COUNTS,
    round=COUNTS,
    language=st.sampled_from(["en", "de"]),
    said=st.text(max_size=20),
    heard=st.text(max_size=20),
    finals=COUNTS,
    is_timed_out=st.booleans(),
    ttfs_ms=TIMES,
    eou_ms=st.none() | TIMES,
    endpoint_to_final_ms=st.none() | TIMES,
    is_cut_off=st.booleans(),
    pause_ms=st.sampled_from([0, 140, 300, 620]),
    ttfp_ms=st.none() | TIMES,
    has_partials=st.booleans(),
    wel_ms=st.lists(TIMES, max_size=3).map(tuple),
    partial_lag_ms=st.lists(TIMES, max_size=3).map(tuple),
    erased_words=COUNTS,
    shown_words=COUNTS,
    revised_words=COUNTS,
    retractions=COUNTS,
    word_errors=COUNTS,
    words=COUNTS,
    char_errors=COUNTS,
    chars=COUNTS,
    degraded_finals=COUNTS,
)
