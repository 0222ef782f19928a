"""Lines of the log, as text and as JSON, of one process and of several."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from rtc_stt.logs import IdLog, LogOptions, bind, line_counts, set_up


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


# ── Ids ────────────────────────────────────────────────────────────


class Lines:
    """What is logged, as JSON, without a thread between."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._is_set_up = False

    @property
    def log(self) -> logging.Logger:
        if not self._is_set_up:  # in the test itself: pytest puts its own handlers in between
            set_up(LogOptions("json", "debug"))
            self._is_set_up = True
        return logging.getLogger("some.room")

    def told(self) -> list[dict[str, Any]]:
        flush()
        return [json.loads(line) for line in self._capsys.readouterr().err.splitlines()]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return Lines(capsys)


async def test_a_line_carries_the_ids_of_what_its_task_works_on(lines: Lines) -> None:
    with bind(request_id="r1", trace_id="t1", traceparent="00-…"):
        lines.log.info("one")
        with bind(call_id="c1", session_id=""):
            lines.log.info("two")
        lines.log.info("three")
    lines.log.info("four")
    one, two, three, four = lines.told()
    assert list(one) == ["time", "level", "logger", "message", "request_id", "trace_id"]
    assert (two["request_id"], two["call_id"]) == ("r1", "c1")
    assert "session_id" not in two
    assert "call_id" not in three
    assert "request_id" not in four


async def test_what_a_task_begins_may_be_of_others_and_does_not_carry_them(lines: Lines) -> None:
    async def job() -> None:
        lines.log.info("task")

    loop = asyncio.get_running_loop()
    with bind(request_id="r1"):
        loop.call_soon(lines.log.info, "callback")
        await loop.create_task(job())
        await asyncio.to_thread(lines.log.info, "thread")  # it works for this task, and is waited for
        loop.call_later(0.01, lines.log.info, "later")
    await asyncio.sleep(0.02)
    ids = {line["message"]: line.get("request_id") for line in lines.told()}
    assert ids == {"callback": None, "task": None, "thread": "r1", "later": None}


async def test_a_callback_that_binds_does_not_bind_those_that_come_of_it(lines: Lines) -> None:
    loop = asyncio.get_running_loop()

    def callback() -> None:
        with bind(call_id="c1"):
            lines.log.info("own")
            loop.call_soon(lines.log.info, "next")

    loop.call_soon(callback)
    await asyncio.sleep(0.01)
    assert [line.get("call_id") for line in lines.told()] == ["c1", None]


async def test_a_logger_of_a_session_carries_its_ids_wherever_it_is_used(lines: Lines) -> None:
    with bind(request_id="r1", trace_id="t1"):
        log = IdLog(lines.log, session_id="s1")
    with bind(request_id="r2", span_id="of another request"):
        log.info("ended", extra={"fields": {"route": "/whip", "remote": None}})
    log.at("other.room").info("closed")
    ended, closed = lines.told()
    assert list(ended)[4:] == ["request_id", "session_id", "trace_id", "route"]
    assert (ended["request_id"], ended["session_id"]) == ("r1", "s1")
    assert (closed["logger"], closed["session_id"]) == ("other.room", "s1")


def test_in_text_a_line_shows_its_session(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogOptions(level="info"))
    IdLog(logging.getLogger("room"), session_id="s1", call_id="c1").info("begun")
    flush()
    assert capsys.readouterr().err.endswith("INFO room: [s1] begun\n")


def test_a_line_is_one_line_and_not_endless(lines: Lines) -> None:
    lines.log.info("a\nb")
    lines.log.info("x" * 100_000)
    first, second = lines.told()
    assert first["message"] == "a\nb"
    assert len(second["message"]) < 20_000


def test_an_exception_is_a_field(lines: Lines) -> None:
    try:
        raise LookupError("lost")
    except LookupError:
        lines.log.exception("failed")
    (told,) = lines.told()
    assert told["exception"].splitlines()[0] == "Traceback (most recent call last):"


def test_lines_are_counted(lines: Lines) -> None:
    lines.log.info("one")
    flush()
    assert line_counts() == {"written": 1, "dropped": 0}
