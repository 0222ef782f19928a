"""Lines of the log, as text and as JSON, of one process and of several."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from rtc_stt.logs import LogOptions, set_up


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def flush() -> None:
    """Lines are written in a thread."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def line(options: LogOptions, capsys: pytest.CaptureFixture[str]) -> str:
    set_up(options)
    logging.getLogger("some.room").warning("it is %s", "late")
    flush()
    return capsys.readouterr().err


def test_a_line_of_text_names_the_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert line(LogOptions(), capsys).endswith("WARNING some.room: it is late\n")


def test_of_several_processes_it_names_the_process_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert line(LogOptions(process="w3"), capsys).endswith("WARNING w3 some.room: it is late\n")
    told = json.loads(line(LogOptions("json", process="w3"), capsys))
    assert (told["process"], told["level"], told["message"]) == ("w3", "warning", "it is late")


def test_json_of_one_process_has_no_name_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "process" not in json.loads(line(LogOptions("json"), capsys))


def test_what_is_below_the_level_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert line(LogOptions(level="error"), capsys) == ""
