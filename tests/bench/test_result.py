"""Figures in few numbers, and marks."""

from __future__ import annotations

import pytest

from rtc_stt.bench.decode import PARTS, Settings, jobs, missed, report
from rtc_stt.bench.live import flood_mark
from rtc_stt.bench.result import Mark, Outcome, percentiles, provenance, rss_bytes


def test_percentiles_are_values_that_occurred():
    assert percentiles(range(1, 101)) == {"p50": 50, "p95": 95, "p99": 99, "n": 100}
    assert percentiles([7.04]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "n": 1}
    assert percentiles([]) == {"n": 0}


@pytest.mark.parametrize(("value", "met"), [(0.25, True), (0.251, False), (0.0, True), (None, None)])
def test_a_mark_is_met_up_to_its_limit_and_unknown_without_a_value(value, met):
    assert Mark("ratio", value, 0.25).met is met


@pytest.mark.parametrize(
    ("without", "beside", "ratio"),
    [
        (0.5, 4.9, 1.0),  # below the floor nothing is compared
        (2.0, 10.0, 2.0),
        (40.0, 50.0, 1.25),
        (40.0, 20.0, 0.5),
        (None, 1.0, None),
    ],
)
def test_the_flood_is_judged_above_the_noise_floor(without, beside, ratio):
    assert flood_mark(without, beside).value == ratio


def test_a_result_says_marks_figures_and_where_it_was_made(tmp_path):
    outcomes = {
        "quiet": Outcome({"seconds_of_each": 600.0}, (Mark("finals", 0, 0),)),
        "cost": Outcome({}, (Mark("ratio", 0.3, 0.25), Mark("recovery_s", None, 10))),
    }
    result = report(outcomes, Settings(no_speech, tmp_path))
    assert result["marks"]["quiet.finals"] == {"value": 0, "at_most": 0, "met": True}
    assert missed(result) == ["cost.ratio", "cost.recovery_s"]
    assert result["quiet"] == {"seconds_of_each": 600.0}
    assert {"date", "machine", "packages", "models"} <= result["provenance"].keys()
    assert "clips" not in result["provenance"]  # nothing was spoken


def test_provenance_names_the_clips_by_their_content(tmp_path):
    (tmp_path / "manifest.json").write_text("[]")
    assert provenance(tmp_path)["clips"] == "4f53cda18c2baa0c"  # sha256 of []


def test_parts_run_in_their_order_and_only_those_asked_for(tmp_path):
    settings = Settings(no_speech, tmp_path, quick=True, device="cpu")
    assert [job.name for job in jobs(["quiet", "cost"], settings)] == ["cost", "quiet"]
    assert [job.name for job in jobs(PARTS, settings)] == list(PARTS)
    assert all(job.steps > 0 for job in jobs(PARTS, settings))


def test_memory_is_that_of_this_process():
    assert 2**20 < rss_bytes() < 2**40


def no_speech(instrument, changes):
    raise AssertionError("nothing loads a model before it runs")
