"""What one side puts on the board the other one finds; and what the process makes of it, without one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from rtc_stt.audio import WINDOW, Samples
from rtc_stt.vad.board import DONE, FAILED, MAX_ENDED, MAX_REASON, MAX_ROWS, REQUEST, Board
from rtc_stt.vad.child import Child
from tests.vad.detectors import BROKEN, SumDetector


def window(value: float) -> Samples:
    return np.full(WINDOW, value / WINDOW, np.float32)


def ask(board: Board, turns: Sequence[Sequence[tuple[int, Samples]]], ended: Sequence[int]) -> bytes:
    rows = [row for turn in turns for row in turn]
    numbers, windows = [number for number, _ in rows], [samples for _, samples in rows]
    return board.ask(numbers, windows, [len(turn) for turn in turns], ended)


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board()
    yield board
    board.close()


@pytest.fixture
def child(board) -> Child:
    return Child(SumDetector(), board)


def test_turns_come_out_as_they_went_in(board):
    turns = [[(7, window(1)), (9, window(2))], [(9, window(3))]]
    rows, count, ended = REQUEST.unpack(ask(board, turns, [4, 5]))
    assert (rows, count, board.ended(ended)) == (3, 2, [4, 5])
    found = board.asked(rows, count)
    assert [numbers for numbers, _ in found] == [[7, 9], [9]]
    for (_, windows), turn in zip(found, turns, strict=True):
        assert windows.shape == (len(turn), WINDOW)
        assert np.array_equal(windows, [samples for _, samples in turn])


def test_what_is_told_is_told_to_the_last_digit(board):
    told = [0.1, 1 / 3, float(np.float32(0.7))]
    board.tell(told)
    assert board.told(3) == told


def test_a_full_board(board):
    turns = [[(n, window(n)) for n in range(MAX_ROWS // 48)] for _ in range(48)]
    rows, count, ended = REQUEST.unpack(ask(board, turns, range(MAX_ENDED)))
    assert (rows, count, ended) == (MAX_ROWS, 48, MAX_ENDED)
    numbers, windows = board.asked(rows, count)[-1]
    assert numbers[-1] == MAX_ROWS // 48 - 1
    assert windows[-1].sum() == pytest.approx(numbers[-1], rel=1e-5)
    assert board.ended(ended)[-1] == MAX_ENDED - 1


def test_of_a_long_reason_the_end_is_kept(board):
    board.fail("x" * MAX_REASON + "the end")
    assert board.reason.endswith("xthe end")
    assert len(board.reason) == MAX_REASON
    board.fail("short")
    assert board.reason == "short"


def test_a_stream_that_was_not_heard_of_begins_and_one_that_ended_is_forgotten(board, child):
    assert child.answer(ask(board, [[(1, window(5)), (2, window(6))], [(1, window(1))]], [])) == DONE
    assert board.told(3) == pytest.approx([5, 6, 6])
    assert child.streams == 2
    assert child.answer(ask(board, [[(1, window(1))]], [2, 3])) == DONE
    assert board.told(1) == pytest.approx([7])
    assert child.streams == 1


def test_nothing_to_judge(board, child):
    assert child.answer(ask(board, [], [1])) == DONE
    assert child.streams == 0


def test_a_failure_is_told_without_its_message(board, child):
    assert child.answer(ask(board, [[(1, window(BROKEN))]], [])) == FAILED
    assert board.reason.startswith("ValueError")
    assert "heard -404" not in board.reason
