"""Finals as subtitle cues."""

from __future__ import annotations

import dataclasses

import pytest

from rtc_stt.subtitles import subtitle
from tests.test_wire import FINAL

LATE = dataclasses.replace(FINAL, audio_start_ms=3_723_004, audio_end_ms=3_725_060, text="Ça va ?")


def test_a_subrip_cue_has_a_number_and_commas():
    assert subtitle(LATE, "srt", 3) == "3\n01:02:03,004 --> 01:02:05,060\nÇa va ?\n"


def test_a_webvtt_cue_has_neither():
    assert subtitle(LATE, "vtt", 3) == "01:02:03.004 --> 01:02:05.060\nÇa va ?\n"


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_a_cue_ends_in_a_new_line_so_that_printing_it_leaves_a_blank_one(form):
    assert subtitle(FINAL, form, 1).endswith("turn on\n")
