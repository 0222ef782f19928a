"""From one utterance to its verdict: every row of the two tables, and what the answer tells of the way."""

from __future__ import annotations

import math

import pytest

from rtc_stt.config import RedecodeMode, Routing
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import Decision, DropReason, FastResult, Reason
from rtc_stt.finalizer import Dropped, Finalizer, Kept
from rtc_stt.hypothesis import DecodeFailure, Draft, Hypothesis, Tier, Urgency, Word
from rtc_stt.testing import hypothesis
from tests.harness import CLEAR, request

FAST, ACCURATE = request(), request(tier=Tier.ACCURATE)
SURE, UNSURE = {"avg_logprob": -0.05}, {"avg_logprob": -2.0}
SOUND = "turn on the lights"
LOOP = "no " * 12
FAILURE = DecodeFailure(FAST, "broken")
PARTIAL = hypothesis(request(urgency=Urgency.PARTIAL), "turn on the", avg_logprob=-0.2)


def finalizer(
    *, accurate: bool, evidence: SpeechEvidence = CLEAR, last_partial: Hypothesis | None = None
) -> Finalizer:
    return Finalizer(evidence, Routing(), has_accurate_tier=accurate, last_partial=last_partial)


def fast(text: str, **figures: object) -> Hypothesis:
    return hypothesis(FAST, text, **figures)


def better(text: str, **figures: object) -> Hypothesis:
    return hypothesis(ACCURATE, text, **figures)


def kept(f: Finalizer) -> Kept:
    assert isinstance(f.verdict, Kept)
    assert f.awaits is None
    return f.verdict


def dropped(f: Finalizer) -> DropReason:
    assert isinstance(f.verdict, Dropped)
    assert f.awaits is None
    return f.verdict.reason


# ── The fast answer ──


@pytest.mark.parametrize("accurate", [True, False])
def test_sound_and_trusted_is_accepted(accurate):
    f = finalizer(accurate=accurate)
    f.receive(fast(SOUND, **SURE))
    assert kept(f).hypothesis.text == SOUND
    assert kept(f).route.decision is Decision.ACCEPTED
    assert kept(f).route.reasons == ()


def test_sound_and_doubted_asks_the_accurate_tier():
    f = finalizer(accurate=True)
    f.receive(fast(SOUND, **UNSURE))
    assert f.verdict is None
    assert f.awaits is Tier.ACCURATE


def test_sound_and_doubted_stands_where_there_is_no_accurate_tier():
    f = finalizer(accurate=False)
    f.receive(fast(SOUND, **UNSURE))
    assert kept(f).route.decision is Decision.NO_ACCURATE_TIER
    assert kept(f).route.reasons == (Reason.LOW_LOGPROB,)
    assert kept(f).hypothesis.text == SOUND


def test_nothing_heard_is_dropped_where_the_model_is_sure():
    f = finalizer(accurate=True)
    f.receive(fast("", no_speech_prob=0.8))
    assert dropped(f) is DropReason.NO_SPEECH
    assert f.awaits is None


def test_nothing_heard_is_asked_again_where_the_model_is_not_sure():
    f = finalizer(accurate=True)
    f.receive(fast("", no_speech_prob=0.3))
    assert f.awaits is Tier.ACCURATE
    f.receive(better(SOUND))
    assert kept(f).route.decision is Decision.REDECODED
    assert Reason.FEW_WORDS in kept(f).route.reasons


@pytest.mark.parametrize("no_speech_prob", [0.3, 0.8])
def test_nothing_heard_is_dropped_where_there_is_no_accurate_tier(no_speech_prob):
    f = finalizer(accurate=False)
    f.receive(fast("", no_speech_prob=no_speech_prob))
    assert dropped(f) is DropReason.NO_SPEECH


@pytest.mark.parametrize("accurate", [True, False])
def test_a_known_phrase_is_dropped(accurate):
    f = finalizer(accurate=accurate, evidence=SpeechEvidence(1_000, 0.5))
    f.receive(fast("Thank you."))
    assert dropped(f) is DropReason.KNOWN_PHRASE


@pytest.mark.parametrize("answer", [fast(LOOP), FAILURE, None], ids=["loop", "failure", "none"])
def test_a_loop_a_failure_and_no_answer_ask_the_accurate_tier(answer):
    f = finalizer(accurate=True)
    f.receive(answer) if answer else f.give_up()
    assert f.awaits is Tier.ACCURATE
    f.receive(better(SOUND))
    assert kept(f).route.decision is Decision.REDECODED
    assert kept(f).route.reasons == (Reason.DECODE_ERROR,)


def test_a_loop_is_dropped_where_there_is_no_accurate_tier():
    f = finalizer(accurate=False, last_partial=PARTIAL)
    f.receive(fast(LOOP))
    assert dropped(f) is DropReason.REPETITION


@pytest.mark.parametrize("answer", [FAILURE, None], ids=["failure", "none"])
def test_the_last_partial_stands_in_where_nothing_else_answers(answer):
    f = finalizer(accurate=False, last_partial=PARTIAL)
    f.receive(answer) if answer else f.give_up()
    assert kept(f).hypothesis is PARTIAL
    assert kept(f).route.decision is Decision.NO_ACCURATE_TIER
    assert kept(f).route.reasons == (Reason.DECODE_ERROR,)
    assert kept(f).route.fast is None


@pytest.mark.parametrize("answer", [FAILURE, None], ids=["failure", "none"])
def test_without_a_partial_there_is_nothing_to_stand_in(answer):
    f = finalizer(accurate=False)
    f.receive(answer) if answer else f.give_up()
    assert dropped(f) is DropReason.DECODE_FAILED


def test_a_partial_that_was_never_said_does_not_stand_in():
    f = finalizer(accurate=False, last_partial=hypothesis(PARTIAL.request, LOOP))
    f.give_up()
    assert dropped(f) is DropReason.DECODE_FAILED


# ── The accurate answer ──


def doubted(*, last_partial: Hypothesis | None = None) -> Finalizer:
    f = finalizer(accurate=True, last_partial=last_partial)
    f.receive(fast(SOUND, **UNSURE))
    return f


def test_a_sound_accurate_answer_stands_however_unsure():
    f = doubted()
    f.receive(better("turn off the lights", **UNSURE))
    assert kept(f).hypothesis.text == "turn off the lights"
    assert kept(f).route.decision is Decision.REDECODED
    assert kept(f).route.fast == FastResult(SOUND, round(math.exp(-2), 4))


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"text": ""}, DropReason.NO_SPEECH),
        ({"text": "Thank you.", "no_speech_prob": 0.5}, DropReason.KNOWN_PHRASE),
    ],
)
def test_the_better_ear_has_the_last_word_when_it_hears_nothing(figures, reason):
    f = doubted()
    f.receive(better(**figures))
    assert dropped(f) is reason


@pytest.mark.parametrize("answer", [better(LOOP), DecodeFailure(ACCURATE, "broken")], ids=["loop", "failure"])
def test_the_fast_text_stands_where_the_accurate_tier_fails(answer):
    f = doubted()
    f.receive(answer)
    assert kept(f).hypothesis.text == SOUND
    assert kept(f).route.decision is Decision.REDECODE_FAILED
    assert kept(f).route.reasons == (Reason.LOW_LOGPROB,)


def test_the_fast_text_stands_where_the_accurate_tier_is_too_slow():
    f = doubted()
    f.give_up()
    assert kept(f).hypothesis.text == SOUND
    assert kept(f).route.decision is Decision.REDECODE_TIMEOUT


def test_the_last_partial_stands_where_both_tiers_fail():
    f = finalizer(accurate=True, last_partial=PARTIAL)
    f.receive(FAILURE)
    f.receive(DecodeFailure(ACCURATE, "broken"))
    assert kept(f).hypothesis is PARTIAL
    assert kept(f).route.decision is Decision.REDECODE_FAILED


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (FAILURE, DropReason.DECODE_FAILED),
        (fast(LOOP), DropReason.REPETITION),
        (fast("", no_speech_prob=0.3), DropReason.NO_SPEECH),
    ],
    ids=["failure", "loop", "nothing"],
)
def test_what_the_fast_tier_did_not_give_cannot_stand(first, reason):
    f = finalizer(accurate=True)
    f.receive(first)
    f.give_up()
    assert dropped(f) is reason


# ── Order and times ──


def test_an_answer_that_is_not_awaited_changes_nothing():
    f = finalizer(accurate=True)
    f.receive(better("too early"))
    assert f.awaits is Tier.FAST
    f.receive(fast(SOUND, **UNSURE))
    f.receive(fast("said twice", **SURE))
    assert f.awaits is Tier.ACCURATE
    f.receive(better("turn off the lights"))
    verdict = f.verdict
    f.receive(better("too late"))
    f.give_up()
    assert f.verdict is verdict


def test_eager_text_is_there_once_the_fast_tier_has_spoken():
    f = finalizer(accurate=True)
    assert f.eager_text is None
    f.receive(fast(SOUND, **UNSURE))
    assert f.eager_text == SOUND


def test_there_is_no_eager_text_for_what_will_be_dropped():
    f = doubted()
    f.receive(better(""))
    assert f.eager_text is None


def test_timings_sum_the_waits_and_keep_the_tiers_apart():
    f = finalizer(accurate=True)
    assert f.timings() == (0, 0, 0)
    f.receive(fast(SOUND, **UNSURE, queue_ms=3, infer_ms=40))
    assert f.timings() == (3, 40, 0)
    f.receive(better(SOUND, queue_ms=5, infer_ms=200))
    assert f.timings() == (8, 40, 200)


# ── Without capacity, and with a draft ──

VERIFY = Routing(redecode_mode=RedecodeMode.VERIFY)


def verifying(heard: Hypothesis) -> Finalizer:
    f = Finalizer(CLEAR, VERIFY, has_accurate_tier=True)
    f.receive(heard)
    assert f.awaits is Tier.ACCURATE
    return f


def test_the_fast_text_stands_where_there_is_no_capacity_to_decode_again():
    f = finalizer(accurate=True)
    f.receive(fast(SOUND, **UNSURE), may_redecode=False)
    assert kept(f).route.decision is Decision.REDECODE_SHED
    assert kept(f).hypothesis.text == SOUND


def test_the_fast_text_stands_where_the_accurate_tier_was_not_tried():
    f = doubted()
    f.receive(DecodeFailure(ACCURATE, "full", shed=True))
    assert kept(f).route.decision is Decision.REDECODE_SHED
    assert kept(f).route.reasons == (Reason.LOW_LOGPROB,)


@pytest.mark.parametrize(
    ("first", "reason"), [(FAILURE, DropReason.DECODE_FAILED), (fast(LOOP), DropReason.REPETITION)]
)
def test_without_fast_text_no_capacity_is_as_a_failure(first, reason):
    f = finalizer(accurate=True)
    f.receive(first, may_redecode=False)
    assert dropped(f) is reason


def test_no_capacity_changes_nothing_where_nothing_is_doubted_or_nobody_could_be_asked():
    f = finalizer(accurate=True)
    f.receive(fast(SOUND, **SURE), may_redecode=False)
    assert kept(f).route.decision is Decision.ACCEPTED
    f = finalizer(accurate=False)
    f.receive(fast(SOUND, **UNSURE), may_redecode=False)
    assert kept(f).route.decision is Decision.NO_ACCURATE_TIER


def test_a_late_fast_tier_without_capacity_ends_with_the_last_partial():
    f = finalizer(accurate=True, last_partial=PARTIAL)
    f.give_up(may_redecode=False)
    assert kept(f).hypothesis is PARTIAL
    assert kept(f).route.decision is Decision.REDECODE_SHED


def test_a_sound_text_is_the_draft_of_the_accurate_tier():
    f = verifying(fast(SOUND, **UNSURE, language="de", language_probability=0.9))
    assert f.draft == Draft(SOUND, "de", 0.9)


def test_nothing_is_a_draft_where_always_is_decoded():
    assert doubted().draft is None


@pytest.mark.parametrize("first", [FAILURE, fast(LOOP), fast("", no_speech_prob=0.3)])
def test_what_is_no_sound_text_is_no_draft(first):
    f = Finalizer(CLEAR, VERIFY, has_accurate_tier=True, last_partial=PARTIAL)
    f.receive(first)
    assert f.awaits is Tier.ACCURATE
    assert f.draft is None


def test_a_verified_text_is_the_fast_one_with_the_opinion_of_the_better_ear():
    said = (Word("turn", 0, 200, 0.9),)
    f = verifying(fast(SOUND, **UNSURE, words=said))
    f.receive(better("Turn on the lights", verified=True, avg_logprob=-0.3, model="medium"))
    assert kept(f).route.decision is Decision.VERIFIED
    final = kept(f).hypothesis
    assert (final.text, final.model, final.avg_logprob, final.words) == (SOUND, "medium", -0.3, said)
    assert final.request.tier is Tier.ACCURATE
    assert f.draft is None


def test_an_accurate_tier_that_disagrees_decodes():
    f = verifying(fast(SOUND, **UNSURE))
    f.receive(better("turn off the lights"))
    assert kept(f).route.decision is Decision.REDECODED
    assert kept(f).hypothesis.text == "turn off the lights"


def test_a_fast_text_that_was_only_checked_is_a_fast_text():
    f = finalizer(accurate=True)
    f.receive(fast(SOUND, **SURE, verified=True))
    assert kept(f).route.decision is Decision.ACCEPTED


def test_a_drop_for_want_of_any_text_tells_of_the_way():
    f = finalizer(accurate=False)
    f.receive(FAILURE)
    assert f.verdict == Dropped(DropReason.DECODE_FAILED, Decision.NO_ACCURATE_TIER)
    f = finalizer(accurate=True)
    f.receive(fast("", no_speech_prob=0.8))
    assert f.verdict == Dropped(DropReason.NO_SPEECH)
