"""Waits and ratios from clips that were made up."""

from __future__ import annotations

import pytest

from rtc_stt.bench.plugins import __main__ as command
from rtc_stt.bench.plugins.ttfs import OURS, THEIRS, Played, figures, marks, table, waits_ms, with_table


def played(
    service: str, stops: list[float], *finals: tuple[float, str], clip: str = "a", reference: str = "one two"
) -> Played:
    return Played(clip, service, reference, tuple(stops), finals)


@pytest.mark.parametrize(
    ("stops", "finals", "waits"),
    [
        ([1.0], [(1.02, "one two")], [20]),
        ([1.0], [], []),
        ([1.0, 2.0], [(1.01, "one"), (2.03, "two")], [10, 30]),
        ([1.0, 2.0], [(2.03, "one two")], [30]),  # speech went on before there was a final
        ([1.0], [(0.9, "one"), (1.1, "two")], [100]),  # the server was ahead with the first
        ([1.0], [(1.1, "one"), (1.3, "two")], [300]),  # what is complete counts
    ],
)
def test_a_wait_is_from_the_stop_to_its_last_final(
    stops: list[float], finals: list[tuple[float, str]], waits: list[float]
) -> None:
    assert waits_ms(played(OURS, stops, *finals)) == pytest.approx(waits)


def test_the_figures_compare_what_both_have_answered() -> None:
    rows = [
        played(OURS, [1.0], (1.02, "one two")),
        played(THEIRS, [1.0], (1.5, "one too")),
        played(OURS, [1.0], (1.9, "one two"), clip="b"),
        played(THEIRS, [1.0], clip="b"),
    ]
    found = figures(rows)
    assert found[OURS]["wait_ms"] == {"p50": 20.0, "p95": 20.0, "p99": 20.0, "n": 1}
    assert found[THEIRS] == {
        "wait_ms": {"p50": 500.0, "p95": 500.0, "p99": 500.0, "n": 1},
        "word_error_rate": 0.75,
        "unanswered": 1,
    }
    assert found["ratio"] == {"p50": 25.0, "p95": 25.0, "p99": 25.0}
    assert [mark.met for mark in marks(found)] == [True]
    lines = table(found).splitlines()
    assert lines[2:] == [
        "| `RtcSTTService` | 20 ms | 20 ms | 20 ms | 1 | 0.0% |",
        "| Pipecat's `WhisperSTTService` | 500 ms | 500 ms | 500 ms | 1 | 75.0% |",
        "| ratio | 25× | 25× | 25× | | |",
    ]


def test_a_slow_final_misses_the_mark() -> None:
    rows = [played(OURS, [1.0], (1.06, "one two")), played(THEIRS, [1.0], (1.5, "one two"))]
    assert [mark.met for mark in marks(figures(rows))] == [False]


def test_without_answers_there_is_nothing_to_compare() -> None:
    found = figures([played(OURS, [1.0]), played(THEIRS, [1.0])])
    assert found["ratio"] == {}
    assert [mark.met for mark in marks(found)] == [None]
    assert "–" in table(found)


def test_a_row_says_what_was_wrong_and_not_what_was_said() -> None:
    row = played(OURS, [1.0], (1.02, "one too")).to_json()
    assert row == {"clip": "a", "service": OURS, "waits_ms": [20.0], "errors": 1}


def test_a_document_without_marks_takes_no_table() -> None:
    with pytest.raises(ValueError, match="ttfs"):
        with_table("# Nothing\n", {})


def test_the_document_shows_the_committed_result() -> None:
    assert command.documented() == command.DOCUMENT.read_text("utf-8"), (
        "python -m rtc_stt.bench.plugins --table"
    )
