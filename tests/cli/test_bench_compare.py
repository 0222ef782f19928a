"""``rtc-stt bench compare`` and ``page``: what they print, write and end with."""

from __future__ import annotations

import json

import pytest

from rtc_stt.bench.turns.result import write
from rtc_stt.cli import main
from tests.turn_results import made


@pytest.fixture
def results(tmp_path):
    """Result files by how much slower they are."""

    def path(factor, **own):
        file = tmp_path / f"{factor}.json"
        write(file, made(turns=5, factor=factor, **own))
        return str(file)

    return path


def run(*arguments):
    return main(["bench", *map(str, arguments)])


def test_what_got_slower_ends_with_one(results, tmp_path, capsys):
    out = tmp_path / "made" / "compared.json"
    assert run("compare", results(1), results(1.5), "--resamples", 200, "--out", out) == 1
    printed = capsys.readouterr().out
    assert "A rtc-stt (25 turns), B rtc-stt (25 turns): the same turns" in printed
    line = next(line for line in printed.splitlines() if line.startswith("endpoint to final p50"))
    assert line.endswith("slower")
    assert "×1.50" in line
    told = json.loads(out.read_text())
    assert told["is_paired"] is True
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_what_got_faster_or_stayed_ends_with_zero(results, capsys):
    slow, fast = results(1.5), results(1)
    assert run("compare", slow, fast, "--resamples", 200) == 0
    assert "faster" in capsys.readouterr().out
    assert run("compare", fast, fast, "--resamples", 200) == 0
    assert "0 of " in capsys.readouterr().out


def test_only_some_figures_may_be_judged(results, capsys):
    assert run("compare", results(1), results(1.5), "--resamples", 200, "--only", "wel,word_error") == 0
    printed = capsys.readouterr().out
    assert "WEL p50" in printed
    assert "TTFS" not in printed


def test_names_of_no_figure_are_told(results, capsys):
    assert run("compare", results(1), results(1), "--resamples", 200, "--only", "speed") == 1
    assert "both results have ttfs_ms, ttfs_less_hangover_ms" in capsys.readouterr().err


def test_a_void_result_is_refused_unless_wanted(results, capsys):
    fine, void = results(1), results(2, send_lag_ms={"p50": 3.0, "p99": 31.0})
    assert run("compare", fine, void) == 1
    assert "is void" in capsys.readouterr().err
    assert run("compare", void, fine, "--even-void", "--resamples", 200) == 0
    assert "!! A is void" in capsys.readouterr().out


def test_a_file_that_is_no_result_is_named(tmp_path, results, capsys):
    (tmp_path / "other.json").write_text("[]")
    assert run("compare", results(1), tmp_path / "other.json") == 1
    assert "other.json" in capsys.readouterr().err


def test_a_number_of_draws_that_proves_nothing_is_wrong_usage(results, capsys):
    with pytest.raises(SystemExit) as exit:
        run("compare", results(1), results(1), "--resamples", 5)
    assert exit.value.code == 2
    assert "'5' is no number of draws" in capsys.readouterr().err


def test_a_page_is_written(results, tmp_path, capsys):
    out = tmp_path / "pages" / "turns.html"
    assert run("page", results(1), results(2), "--out", out) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "turns.html" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "page"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        run(command, "--help")
    assert f"example:\n  rtc-stt bench {command}" in capsys.readouterr().out
