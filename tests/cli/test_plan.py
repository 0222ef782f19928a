"""``rtc-stt plan`` as it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtc_stt.cli import main


@pytest.fixture
def times(tmp_path) -> Path:
    table = {"batches": [1], "lengths_s": [1.0], "seconds": [[0.05]]}
    path = tmp_path / "times.json"
    path.write_text(
        json.dumps({"name": "two cores", "concurrency": 1, "tiers": {"fast": table}}), encoding="utf-8"
    )
    return path


def test_a_plan_is_told_in_words(times, capsys, tmp_path):
    plot = tmp_path / "plan.svg"
    ask = ["plan", "--sessions", "100", "--times", str(times), "--seconds", "20", "--plot", str(plot)]
    assert main(ask) == 0
    told = capsys.readouterr().out
    assert "machines such as two cores, 1 of which may be away" in told
    assert "for 100 in all" in told
    assert "Endpoint to final" in plot.read_text(encoding="utf-8")


def test_and_as_json_for_who_reckons_on(times, capsys):
    assert main(["plan", "--sessions", "100", "--times", str(times), "--seconds", "20", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["machines"] - 1) * plan["per_machine"] >= 100
    assert plan["tried"][0]["sessions"] == 1


def test_where_one_is_too_many_it_says_so(times, capsys):
    table = json.loads(times.read_text(encoding="utf-8"))
    table["tiers"]["fast"]["seconds"] = [[3.0]]
    times.write_text(json.dumps(table), encoding="utf-8")
    assert main(["plan", "--sessions", "5", "--times", str(times), "--seconds", "20"]) == 1
    assert "not even one session" in capsys.readouterr().out


def test_a_file_that_is_none_says_how_to_make_one(tmp_path, capsys):
    assert main(["plan", "--sessions", "5", "--times", str(tmp_path / "none.json")]) == 1
    assert "rtc-stt bench times writes it" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text("[]", encoding="utf-8")
    assert main(["plan", "--sessions", "5", "--times", str(tmp_path / "bad.json")]) == 1
    assert "no file of service times" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--sessions", "0"], ["--talk", "1"], ["--doubted", "1.5"]])
def test_what_cannot_be_is_wrong_usage(times, wrong, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["plan", "--sessions", "5", "--times", str(times), *wrong])
    assert exit_.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_gpus_behind_gateways_are_planned_too(times, capsys):
    ask = ["plan", "--sessions", "12", "--gpu", str(times), "--seconds", "5", "--sessions-a-process", "6"]
    assert main(ask) == 0
    told = capsys.readouterr().out
    assert told.startswith("3 gateways and ")
    assert "sessions a GPU, for 12 in all" in told
    assert main([*ask, "--json", "--spare", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["gateways"] == 2


def test_a_plan_is_of_the_one_or_the_other(times):
    with pytest.raises(SystemExit):
        main(["plan", "--sessions", "5", "--times", str(times), "--gpu", str(times)])
