"""What speakers ask for follows what the detector hears of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.config import StreamOptions
from rtc_stt.hypothesis import DecodeRequest, Urgency
from rtc_stt.load import FULL_EFFORT
from rtc_stt.simulation import Manner, Speaker, Stretch
from rtc_stt.simulation.speaker import Waits
from rtc_stt.simulation.timeline import Timeline

WINDOW = 0.032


def asked_by(turn: tuple[Stretch, ...], **options: object) -> list[tuple[float, DecodeRequest]]:
    """What is asked for in one turn, and how long after its begin; nothing is answered."""
    timeline, asked = Timeline(), list[tuple[float, DecodeRequest]]()
    speaker = Speaker(
        "s0",
        timeline,
        manner=Manner(turns=(turn,), silence_s=(1e6,), vary=0.0, doubted=0.0),
        options=StreamOptions(**options),  # type: ignore[arg-type]
        chance=random.Random(1),
        submit=lambda request: asked.append((timeline.now, request)),
        effort=lambda: FULL_EFFORT,
        waits=Waits(),
        deadline_s=1.0,
    )
    speaker._start()
    timeline.run(60.0)
    return asked


def test_nobody_gets_partials_in_a_pause():
    asked = asked_by((Stretch(20 * WINDOW, gap_s=40 * WINDOW), Stretch(20 * WINDOW)))
    partials = [at / WINDOW for at, request in asked if request.urgency is Urgency.PARTIAL]
    assert partials[0] == pytest.approx(5), "160 ms of speech"
    assert all(at <= 20.001 or at >= 60.999 for at in partials)
    assert any(at == pytest.approx(61) for at in partials), "the first window that is speech again"


def test_a_pause_of_the_voice_is_a_pause_though_the_detector_is_late():
    # 200 ms are seven windows of silence; five of them the detector takes for speech.
    asked = asked_by((Stretch(20 * WINDOW, 5 * WINDOW, 10 * WINDOW), Stretch(20 * WINDOW)))
    eager = [at / WINDOW for at, request in asked if request.urgency is Urgency.EAGER]
    assert eager == [pytest.approx(20 - 5 + 7), pytest.approx(50 + 7)]


def test_a_gap_that_is_no_pause_is_none():
    asked = asked_by((Stretch(20 * WINDOW, gap_s=4 * WINDOW), Stretch(20 * WINDOW)))
    assert [request.urgency for _, request in asked].count(Urgency.EAGER) == 1
    assert asked[-1][1].urgency is Urgency.FINAL
    assert asked[-1][0] / WINDOW == pytest.approx(44 + 16), "500 ms are sixteen windows"


def test_a_final_hears_what_the_eager_one_heard_with_the_preroll():
    asked = asked_by((Stretch(30 * WINDOW),), partials=False)
    assert len({request.key for _, request in asked}) == 1
    assert all(len(request.audio) == pytest.approx((37 * WINDOW) * 16_000, abs=2) for _, request in asked), (
        "nothing was said before the clock began"
    )


@given(st.integers(0, 10_000))
def test_turns_that_are_made_up_are_as_long_as_they_should_be(seed):
    manner = Manner(turn_s=(5.0,), vary=0.2, pause_every_s=1.0)
    turn = manner.draw_turn(random.Random(seed))
    assert 4.0 <= sum(s.speech_s + s.gap_s for s in turn) <= 6.0 + 1e-9
    assert turn[-1].gap_s == 0
    assert all(s.speech_s > 0 and s.gap_s > 0 for s in turn[:-1])


def test_the_share_of_speech_holds_for_recorded_turns_too():
    manner = Manner(turns=((Stretch(1.0, gap_s=1.0), Stretch(1.0)),)).talking(0.5)
    assert manner.silence_s == (3.0,)
