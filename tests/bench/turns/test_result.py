"""A result as a file, and files from elsewhere."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.result import MAX_TEXT, Result, read, write
from rtc_stt.errors import BadResult
from tests.bench.turns.made_rows import ROWS, made

TIMELINE = {
    "scene": "s1",
    "set": "single",
    "speaker": 0,
    "audio_ms": 40,
    "envelope": [0.0, 1.0],
    "turns": [{"start_ms": 0, "end_ms": 40, "text": "book it", "words": [("book", 0, 20), ("it", 20, 40)]}],
    "events": [{"at_ms": 30.5, "type": "partial", "text": "book"}, {"at_ms": 80.0, "type": "endpoint"}],
}


def result(**changes):
    told = {
        "rows": [made(), made(turn="t2", set="pauses-300", pause_ms=300, eou_ms=None)],
        "target": {"name": "rtc-stt", "kind": "webrtc", "models": ["fast", None, 1.5, True]},
        "condition": {"noise": None},
        "extra_finals": {"single": 1},
        "cold": {"start_ms": 2_000.5, "connect_ms": {"p50": 60.0, "n": 1}, "first_turn_ttfs_ms": None},
        "send_lag_ms": {"p50": 0.1, "p95": 0.5, "p99": 1.0, "n": 1_000},
        "timelines": [TIMELINE],
        "data": {"folder": "tests/turns", "sha256": "ab", "scenes": 2},
        "provenance": {"commit": "abc"},
    }
    return Result(**told | changes)


def test_a_result_says_all_that_a_reader_needs():
    body = result().to_json()
    assert (body["measurement"], body["form"], body["void"], body["interrupted"]) == (
        "turns",
        1,
        False,
        False,
    )
    assert body["target"]["name"] == "rtc-stt"
    assert body["summary"]["all"]["turns"] == 2
    assert body["summary"]["all"]["extra_finals"] == 1
    assert body["summary"]["sets"].keys() == {"single", "pauses-300"}
    assert body["summary"]["sets"]["single"]["extra_finals"] == 1
    assert body["summary"]["sets"]["pauses-300"]["extra_finals"] == 0
    assert body["turns"][1]["eou_ms"] is None
    assert body["turns"][0]["wel_ms"] == [150.0, 200.0]
    assert body["timelines"][0]["turns"][0]["words"][0] == ["book", 0, 20]


@pytest.mark.parametrize(("p99", "void"), [(10.0, False), (10.1, True), (None, False)])
def test_a_run_whose_sender_was_late_is_void(p99, void):
    lag = {"n": 0} if p99 is None else {"p99": p99, "n": 5}
    told = result(send_lag_ms=lag)
    assert told.void is void
    assert told.to_json()["void"] is void


def test_what_is_written_is_what_is_read(tmp_path):
    file = tmp_path / "a.json"
    write(file, result(interrupted=True, failures=2, cost_only=True, speakers=8, hangover_ms=300))
    assert read(file) == result(interrupted=True, failures=2, cost_only=True, speakers=8, hangover_ms=300)
    assert json.loads(file.read_text()) == read(file).to_json()
    assert sum(line.startswith('  {"scene"') for line in file.read_text().splitlines()) == 3  # a line each


@given(st.lists(ROWS, max_size=4))
def test_any_rows_survive_the_file(rows):
    told = result(rows=rows, timelines=[])
    assert Result.from_json(json.loads(json.dumps(told.to_json()))) == told


def changed(path, value):
    """The JSON of a result with one value changed; ``...`` takes it out."""
    body = result().to_json()
    *way, last = path
    at = body
    for step in way:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "no result of"),
        (None, "no result of"),
        ({"measurement": "load"}, "no result of"),
        (changed(["form"], 2), "form 2"),
        (changed(["target"], "me"), "target is of type str"),
        (changed(["target"], {"name": 3}), "target has no name"),
        (changed(["speakers"], True), "speakers is of type bool"),
        (changed(["rounds"], -1), "rounds is below 0"),
        (changed(["patience_s"], ...), "patience_s is missing"),
        (changed(["hangover_ms"], 1e15), "cannot have been measured"),
        (changed(["hangover_ms"], float("nan")), "cannot have been measured"),
        (changed(["provenance", "commit"], "x" * (MAX_TEXT + 1)), "100001 characters"),
        (changed(["send_lag_ms", "p99"], "late"), "send_lag_ms holds"),
        (changed(["extra_finals", "single"], None), "extra_finals holds"),
        (changed(["turns"], {}), "turns is of type dict"),
        (changed(["turns", 1], 7), r"turns\[1\] is no object"),
        (changed(["turns", 1, "ttfs_ms"], ...), r"turns\[1\] has no ttfs_ms"),
        (changed(["turns", 1, "ttfs_ms"], None), r"turns\[1\]: expected float"),
        (changed(["turns", 1, "wel_ms"], 5), r"turns\[1\]: expected a list"),
        (changed(["turns", 1, "wel_ms"], ["a"]), r"turns\[1\]: expected float"),
        (changed(["turns", 1, "finals"], 1.5), r"turns\[1\]: expected int"),
        (changed(["turns", 1, "words"], -1), r"turns\[1\]: words is below 0"),
        (changed(["turns", 1, "is_cut_off"], 0), r"turns\[1\]: expected bool"),
        (changed(["timelines", 0], 7), r"timelines\[0\] is no object"),
        (changed(["timelines", 0, "audio_ms"], "7"), r"timelines\[0\].audio_ms"),
        (changed(["timelines", 0, "envelope"], [2]), "not between 0 and 1"),
        (changed(["timelines", 0, "envelope"], ["1"]), "not between 0 and 1"),
        (changed(["timelines", 0, "turns", 0, "words"], [["a", 1]]), "no word with its start"),
        (changed(["timelines", 0, "turns", 0, "text"], None), "turns.text"),
        (changed(["timelines", 0, "events", 0, "type"], "shout"), "no target tells"),
        (changed(["timelines", 0, "events", 0, "text"], 3), "no target tells"),
        (changed(["timelines", 0, "events"], None), "events is missing, or no list"),
    ],
)
def test_files_from_elsewhere_are_refused_with_words(body, words):
    with pytest.raises(BadResult, match=words):
        Result.from_json(body)


def test_what_a_later_version_added_to_a_row_is_skipped():
    assert Result.from_json(changed(["turns", 0, "mood"], "good")) == result()


def test_the_message_names_the_file(tmp_path):
    file = tmp_path / "b.json"
    with pytest.raises(BadResult, match=r"b\.json cannot be read: No such file"):
        read(file)
    file.write_text("{")
    with pytest.raises(BadResult, match=r"b\.json is not JSON"):
        read(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadResult, match=r"b\.json is not JSON"):
        read(file)
    file.write_text("[" * 100_000)
    with pytest.raises(BadResult, match=r"b\.json is nested deeper"):
        read(file)
    file.write_text(json.dumps(changed(["form"], 7)))
    with pytest.raises(BadResult, match=r"b\.json: this result is of form 7"):
        read(file)


def test_nesting_has_an_end():
    deep: object = 1
    for _ in range(30):
        deep = [deep]
    with pytest.raises(BadResult, match="nested deeper"):
        Result.from_json(changed(["data", "folder"], deep))


def test_a_file_beyond_all_size_is_not_read(tmp_path):
    file = tmp_path / "big.json"
    with file.open("wb") as big:
        big.truncate(2**29)  # a hole: takes no room
    with pytest.raises(BadResult, match="larger than any result"):
        read(file)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    ["target"], ["cold"], ["send_lag_ms"], ["extra_finals"], ["turns"], ["turns", 0], ["turns", 0, "wel_ms"],
    ["turns", 0, "said"], ["turns", 0, "round"], ["timelines"], ["timelines", 0, "turns"],
    ["timelines", 0, "turns", 0, "words"], ["timelines", 0, "events", 0],
]  # fmt: skip


@given(st.sampled_from(PLACES), JSON)
def test_whatever_stands_in_a_file_it_is_read_or_refused(place, value):
    with suppress(BadResult):
        told = Result.from_json(changed(place, value))
        assert Result.from_json(told.to_json()) == told
