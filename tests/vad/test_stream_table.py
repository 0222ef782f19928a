"""Rows of the detector's table: whose they are, and what becomes of them."""

from __future__ import annotations

import gc
from threading import Thread

import numpy as np
import pytest

from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.stream_table import FIRST_ROWS, Line, StreamState, StreamTable

CONTEXT = 64


@pytest.fixture
def table() -> StreamTable:
    return StreamTable(CONTEXT)


def begun(table: StreamTable, line: Line = Line.UNKNOWN) -> StreamState:
    state = StreamState(table, line)
    (row,) = table.rows([state])
    # Memory 0 holds ones, memory 1 twos.
    table.streams["memories"][row] = np.array([1, 2])[:, None]
    return state


def held(state: StreamState) -> list[float]:
    """What its memories hold."""
    memories = state.table.streams["memories"][state.row]
    assert (memories == memories[:, :, :1]).all()
    assert (memories[0] == memories[1]).all()
    return memories[0, :, 0].tolist()


def test_a_stream_keeps_its_row(table):
    states = [StreamState(table) for _ in range(5)]
    rows = table.rows(states)
    assert len(set(rows)) == 5
    assert table.rows(states[::-1]).tolist() == rows[::-1].tolist()


def test_a_stream_that_hears_nothing_takes_no_row(table):
    for _ in range(3):
        StreamState(table)
    gc.collect()
    assert sorted(table.free) == list(range(FIRST_ROWS))


def test_a_row_of_an_ended_stream_is_the_next_ones_and_is_cleared(table):
    fresh = table.streams[table.rows([StreamState(table)])[0]].copy()
    for _ in range(3 * FIRST_ROWS):
        (row,) = table.rows([state := StreamState(table)])
        assert table.streams[row] == fresh
        for name in table.streams.dtype.names:
            table.streams[name][row] = 1
        del state
    assert len(table.streams) == FIRST_ROWS


def test_streams_that_come_and_go_take_no_more_than_those_that_are_there_at_once(table):
    there: list[StreamState] = []
    for number in range(1_000):
        there.append(StreamState(table))
        table.rows(there)
        if len(there) == 20:
            del there[number % 20]
    assert len(table.streams) == 2 * FIRST_ROWS
    assert len({state.row for state in there}) == len(there)


def test_a_table_that_grows_keeps_what_it_holds(table):
    states = [begun(table) for _ in range(5 * FIRST_ROWS)]
    for number, row in enumerate(table.rows(states)):
        table.streams["calm"][row] = number
    more = [begun(table) for _ in range(5 * FIRST_ROWS)]
    assert table.streams["calm"][table.rows(states)].tolist() == list(range(len(states)))
    assert not set(table.rows(states)) & set(table.rows(more))
    assert all(held(state) == [1, 2] for state in states)


def test_a_handle_may_be_let_go_of_in_another_thread(table):
    held = [[StreamState(table) for _ in range(FIRST_ROWS)]]
    table.rows(held[0])
    thread = Thread(target=held.clear)
    thread.start()
    thread.join()
    assert sorted(table.free) == list(range(FIRST_ROWS))


def test_a_handle_of_another_table_is_a_mistake_of_the_caller(table):
    for state in (DetectorState(), StreamState(StreamTable(CONTEXT))):
        with pytest.raises(AssertionError):
            table.rows([state])


@pytest.mark.parametrize("line", Line)
def test_a_stream_may_begin_where_its_line_is_known(table, line):
    state = StreamState(table, line)
    assert state.line is line
    table.rows([state])
    assert state.line is line


@pytest.mark.parametrize("oldest", [0, 1])
def test_what_is_no_telephone_line_goes_on_with_its_memory_of_16_khz(table, oldest):
    state = begun(table)
    table.streams["oldest"][state.row] = oldest
    table.widen(state.row)
    assert (state.line, held(state)) == (Line.WIDE, [1, 0])
    assert table.streams["oldest"][state.row] == oldest


def test_a_telephone_line_goes_on_with_its_memory_of_8_khz(table):
    state = begun(table)
    table.narrow(state.row)
    assert (state.line, held(state)) == (Line.TELEPHONE, [2, 0])
    assert table.streams["oldest"][state.row] == 0, "that of 8 kHz has heard more than the other"


@pytest.mark.parametrize("oldest", [0, 1])
def test_where_it_is_doubted_the_younger_memory_of_8_khz_stays(table, oldest):
    state = begun(table, Line.TELEPHONE)
    table.streams["oldest"][state.row] = oldest
    table.doubt(state.row)
    assert (state.line, held(state)) == (Line.UNKNOWN, [0, 2 - oldest])
    row = table.streams[state.row]
    assert (row["oldest"], row["high"], row["low"]) == (1, 1, 0)


def test_memories_are_emptied_in_turn(table):
    state = begun(table, Line.WIDE)
    table.forget(state.row)
    assert held(state) == [0, 2]
    table.forget(state.row)
    assert held(state) == [0, 0]
    assert table.streams["oldest"][state.row] == 0
