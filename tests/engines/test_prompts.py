"""What a model is told before its text: one token a word here."""

from __future__ import annotations

import pytest

from rtc_stt.engines.prompts import CONTEXT_STEP, MAX_PROMPT, build_prompt
from tests.harness import request

PREV, TASK, NO_TIMESTAMPS = "<prev>", ["<sot>", "<en>", "<transcribe>"], "<notimestamps>"


class Words:
    """A tokenizer whose tokens are words."""

    sot_prev, sot_sequence, no_timestamps = PREV, TASK, NO_TIMESTAMPS

    def encode(self, text: str) -> list[str]:
        assert text.startswith(" ")
        return text.split()


def told(**options: str) -> list[str]:
    prompt = build_prompt(Words(), request(**options))
    assert prompt[-4:] == [*TASK, NO_TIMESTAMPS]
    return prompt[1:-4] if prompt[0] == PREV else prompt[:-4]


def numbered(name: str, count: int) -> str:
    return " ".join(f"{name}{i}" for i in range(count))


@pytest.mark.parametrize("options", [{}, {"prompt": "", "context": "", "hotwords": ""}, {"context": "  "}])
def test_nothing_to_tell_is_only_the_task(options):
    assert build_prompt(Words(), request(**options)) == [*TASK, NO_TIMESTAMPS]


def test_hotwords_come_first_then_the_prompt_then_what_was_just_said():
    assert told(hotwords="h", prompt="p q", context="c d") == ["h", "p", "q", "c", "d"]


def test_of_too_much_the_end_of_the_context_is_kept():
    heard = told(hotwords=numbered("h", 10), prompt=numbered("p", 300), context=numbered("c", 300))
    assert len(heard) <= MAX_PROMPT
    assert heard[:10] == numbered("h", 10).split()
    assert heard[-1] == "c299"
    assert not any(word.startswith("p") for word in heard)


def test_of_a_long_prompt_its_end_is_kept_and_the_context_whole():
    heard = told(prompt=numbered("p", 300), context="c d")
    assert len(heard) == MAX_PROMPT
    assert heard[-3:] == ["p299", "c", "d"]


def test_too_many_hotwords_leave_room_for_nothing_else():
    assert told(hotwords=numbered("h", 400), prompt="p", context="c") == numbered("h", MAX_PROMPT).split()


@pytest.mark.parametrize("count", range(CONTEXT_STEP, 40))
def test_contexts_of_many_lengths_make_prompts_of_few(count):
    heard = told(hotwords="h", prompt="p q", context=numbered("c", count))
    assert len(heard) % CONTEXT_STEP == 0 or count < 2 * CONTEXT_STEP
    assert heard[:3] == ["h", "p", "q"]
    assert heard[-1] == f"c{count - 1}"
    assert len(heard) > count + 3 - CONTEXT_STEP


def test_a_prompt_without_context_is_never_cut_to_a_step():
    assert told(prompt=numbered("p", 13)) == numbered("p", 13).split()
