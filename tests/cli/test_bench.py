"""``rtc-stt bench``: what it asks for, what it writes, and its exit code."""

from __future__ import annotations

import json

import pytest

from rtc_stt.bench.decode import Job
from rtc_stt.bench.result import Mark, Outcome
from rtc_stt.cli import bench, main


def parts(monkeypatch, *marks):
    """The parts are one, which finds these marks."""

    def run(tick):
        tick()
        return Outcome({"figure": 1}, marks)

    monkeypatch.setattr(bench, "jobs", lambda names, settings: [Job("cost", 1, run)])


@pytest.mark.parametrize("command", [[], ["decode"], ["load"], ["models"]])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", *command, "--help"])
    assert exit.value.code == 0
    assert "example:\n  rtc-stt bench" in capsys.readouterr().out


def test_marks_that_are_met_exit_with_zero_and_the_result_is_written(monkeypatch, tmp_path, capsys):
    parts(monkeypatch, Mark("ratio", 0.2, 0.25))
    out = tmp_path / "results" / "decode.json"
    assert main(["bench", "decode", "--only", "cost", "--quick", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["marks"] == {"cost.ratio": {"value": 0.2, "at_most": 0.25, "met": True}}
    assert result["quick"] is True
    printed = capsys.readouterr()
    assert json.loads(printed.out) == result
    assert "met    cost.ratio" in printed.err


@pytest.mark.parametrize("value", [0.3, None])
def test_a_mark_that_is_missed_exits_with_one(monkeypatch, value, capsys):
    parts(monkeypatch, Mark("ratio", value, 0.25), Mark("other", 0, 0))
    assert main(["bench", "decode", "--only", "cost"]) == 1
    assert "MISSED cost.ratio" in capsys.readouterr().err


def test_an_unknown_part_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", "decode", "--only", "cost,speed"])
    assert exit.value.code == 2
    assert "'speed' is not one of cost, live" in capsys.readouterr().err


def test_clips_that_are_not_there_are_told_before_anything_runs(tmp_path, capsys):
    assert main(["bench", "decode", "--clips", str(tmp_path)]) == 1
    assert "--clips" in capsys.readouterr().err


def test_models_are_made_where_they_are_asked_for(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(bench.shapes, "model_folder", lambda *given: asked.append(given) or tmp_path / "made")
    assert main(["bench", "models", "base", "--models", str(tmp_path), "--words", "8"]) == 0
    assert asked == [(tmp_path, "base", 8)]
    assert capsys.readouterr().out.strip() == str(tmp_path / "made")


def test_an_unknown_shape_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", "models", "huge", "--models", str(tmp_path)])
    assert exit.value.code == 2
    assert "tiny, base, small, medium" in capsys.readouterr().err
