"""What all measurements have in common: options, output, marks, exit codes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.commands import Command, Errand, Family

FAMILY = Family("tools.some", "Measure some things.\n\nMore.", example="one --out one.json", prefix="some_")


def add_times(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--times", type=int, default=1)


def run(marks: Mapping[str, Any], *arguments: str) -> int:
    one = Command("one", "all of 100 %", lambda options: {"marks": marks, "times": options.times}, add_times)
    two = Command("two", "nothing to reach", lambda _: {"value": 2})
    errand = Errand("errand", "does something", lambda _: 3)
    return FAMILY.main([one, two, errand], arguments)


def test_a_result_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "one.json"
    assert run({"fast": True}, "one", "--times", "7", "--out", str(out)) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json.loads(out.read_text(encoding="utf-8"))
    result = json.loads(printed.out)
    assert (result["measurement"], result["times"]) == ("some_one", 7)
    assert {"date", "machine", "packages"} <= set(result["provenance"])
    assert printed.err == "met    fast\n"


@pytest.mark.parametrize(
    ("mark", "told"),
    [(False, "MISSED fast\n"), ({"met": False, "value": 3, "at_most": 2}, "MISSED fast: 3 (at most 2)\n")],
)
def test_a_mark_that_was_missed_is_told_and_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], mark: Any, told: str
) -> None:
    assert run({"fast": mark, "right": True}, "one") == 1
    assert capsys.readouterr().err == told + "met    right\n"


def test_one_without_marks_misses_none() -> None:
    assert run({}, "two") == 0


def test_an_errand_gives_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run({}, "errand") == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [[], ["three"], ["one", "--times", "x"], ["errand", "--out", "x"]])
def test_wrong_usage_exits_with_two(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run({}, *arguments)
    assert ended.value.code == 2
    assert "usage: python -m tools.some" in capsys.readouterr().err


def test_the_help_names_every_command_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run({}, "--help")
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for words in (
        "Measure some things.",
        "all of 100 %",
        "errand",
        "python -m tools.some one --out one.json",
    ):
        assert words in told
    assert "More." not in told


def test_commands_are_modules_of_the_package() -> None:
    family = Family("tools.telephony", None, example="vad")
    (vad,) = family.modules(["vad"])
    assert isinstance(vad, Command)
    assert vad.name == "vad"
    assert "detector" in vad.help
