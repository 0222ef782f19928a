"""The picture of a turn: everything where it came, and measured where it is drawn."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rtc_stt.bench.turns.report.timeline import AFTER_MS, draw, end, focus
from tests.turn_results import Kind, made


def turn(**kind):
    """A result of one turn of each set, and its first timeline."""
    one = made(Kind(cut_off=0.0, wrong=0.0, **kind), turns=1)
    return one, one.timelines[0]


def picture(one, told, is_narrow=False):
    shown = focus(told, one.rows)
    return draw("t", told, shown, one.hangover_ms, end(told, shown), is_narrow=is_narrow)


def x_of(svg, said):
    return float(re.search(rf'<text x="([\d.]+)"[^>]*>{said}<', svg)[1])


def test_what_is_measured_is_drawn_to_scale():
    one, told = turn()
    svg = picture(one, told)
    arrows = [
        (float(a), float(b))
        for a, b in re.findall(r'<line x1="([\d.]+)" y1="21.0" x2="([\d.]+)" y2="21.0" class="arrow"', svg)
    ]
    (first, second) = arrows
    row = focus(told, one.rows).row
    a_second = x_of(svg, "1 s") - x_of(svg, "0 s")
    assert first[1] - first[0] == pytest.approx(row.ttfp_ms / 1000 * a_second, abs=0.3)
    assert second[1] - second[0] == pytest.approx(row.ttfs_ms / 1000 * a_second, abs=0.3)
    assert f"TTFP {row.ttfp_ms:.0f} ms" in svg
    assert f"TTFS {row.ttfs_ms:.0f} ms" in svg


def test_every_word_and_partial_is_there():
    one, told = turn(unsteady=0.0)
    svg = picture(one, told)
    for word, _, _ in told["turns"][0]["words"]:
        assert f">{word}</text>" in svg
    partials = [event for event in told["events"] if event["type"] == "partial"]
    assert svg.count('r="2.6" class="told"') == len(partials)
    assert 'class="changed"' not in svg


def test_text_that_changed_is_told_from_text_that_stood():
    one, told = turn(unsteady=0.0)
    partial = next(event for event in told["events"] if event["type"] == "partial" and " " in event["text"])
    first = partial["text"].split()[0]
    partial |= {"text": f"{first} wrongly", "stable_chars": len(first)}
    svg = picture(one, told)
    assert f'<tspan class="stable">{first}</tspan> <tspan class="changed">wrongly</tspan>' in svg


def test_many_partials_are_thinned_and_it_is_said():
    one, told = turn()
    start = told["turns"][0]["start_ms"]
    told["events"] = [
        {"at_ms": start + 40.0 * n, "type": "partial", "text": f"book {n}"} for n in range(40)
    ] + [event for event in told["events"] if event["type"] == "final"]
    assert "11 of 40" in picture(one, told)
    assert "8 of 40" in picture(one, told, is_narrow=True)


def test_a_turn_without_a_final_is_drawn_as_that():
    one, told = turn()
    told["events"] = [{"at_ms": 900.0, "type": "failed"}]
    one.rows = [replace(row, is_timed_out=True, ttfs_ms=10_000.0, ttfp_ms=None) for row in one.rows]
    svg = picture(one, told)
    assert 'class="lost"' in svg
    assert "TTFS" not in re.sub(r"<desc.*?</desc>", "", svg)
    assert end(told, focus(told, one.rows)) == told["turns"][0]["end_ms"] + 1_000 + AFTER_MS


def test_of_several_turns_the_one_cut_off_is_shown_else_the_slowest():
    one, told = turn()
    row = one.rows[0]
    told["turns"] = [told["turns"][0], told["turns"][0] | {"start_ms": 5_000.0, "end_ms": 6_000.0}]
    one.rows = [row, replace(row, turn="2", ttfs_ms=row.ttfs_ms + 90)]
    assert focus(told, one.rows).index == 1
    one.rows[0] = replace(one.rows[0], is_cut_off=True)
    assert focus(told, one.rows).index == 0
    assert focus(told, one.rows[:1]).row is None  # a turn has no row: which is which is not known


def test_of_several_rounds_the_one_whose_finals_these_are_is_meant():
    one, told = turn()
    row = one.rows[0]
    one.rows = [replace(row, ttfs_ms=row.ttfs_ms + 200), replace(row, round=1)]
    assert focus(told, one.rows).row.round == 1


def test_of_a_long_turn_the_end_is_shown():
    one, told = turn()
    told["turns"][0] |= {"start_ms": 0.0, "end_ms": 60_000.0, "words": [("late", 59_000.0, 59_900.0)]}
    told["envelope"] = [0.5] * 3_000
    told["events"] = [{"at_ms": 60_500.0, "type": "final", "text": "late"}]
    one.rows = [replace(one.rows[0], ttfs_ms=500.0, ttfp_ms=300.0)]
    svg = picture(one, told)
    assert "TTFP" not in re.sub(r"<desc.*?</desc>", "", svg)
    assert "TTFS 500 ms" in svg
    assert "60 s" in svg
    assert "speech begins" not in svg


def test_a_phone_gets_a_picture_of_its_own_width():
    one, told = turn()
    assert 'viewBox="0 0 360 ' in picture(one, told, is_narrow=True)
    assert 'viewBox="0 0 920 ' in picture(one, told)
