"""One verdict from many."""

from __future__ import annotations

import math

import pytest

from rtc_stt.events import Decision, DropReason, FastResult, Reason, Route
from rtc_stt.finalizer import Dropped, Kept
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.join import join
from rtc_stt.testing import hypothesis
from tests.harness import request


def kept(
    text: str,
    decision: Decision = Decision.ACCEPTED,
    reasons: tuple[Reason, ...] = (),
    *,
    fast: FastResult | None = None,
    tier: Tier = Tier.FAST,
    **figures: object,
) -> Kept:
    return Kept(hypothesis(request(tier=tier), text, **figures), Route(decision, reasons, fast))


def joined(*verdicts: Kept | Dropped) -> Kept:
    verdict = join(verdicts)
    assert isinstance(verdict, Kept)
    return verdict


@pytest.mark.parametrize("verdict", [kept(" as it is "), Dropped(DropReason.TOO_SHORT)])
def test_one_verdict_stands_as_it_is(verdict):
    assert join([verdict]) is verdict


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["one two ", " three"], "one two three"),
        (["", "three", ""], "three"),
        (["我想订", "一张票"], "我想订一张票"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["好的。", "下一个"], "好的。下一个"),
        (["안녕", "하세요"], "안녕 하세요"),
    ],
)
def test_texts_follow_each_other_as_their_scripts_have_it(texts, whole):
    assert joined(*(kept(text) for text in texts)).hypothesis.text == whole


def test_dropped_segments_contribute_nothing():
    verdict = joined(kept("one"), Dropped(DropReason.NO_SPEECH), kept("two"))
    assert verdict.hypothesis.text == "one two"
    assert verdict.route == Route(Decision.ACCEPTED)


def test_figures_are_of_the_whole_or_of_the_part_that_is_worst_off():
    a, b = Word("a", 0, 100, 0.9), Word("b", 200, 300, 0.8)
    said = joined(
        kept("a", avg_logprob=-0.1, tokens=3, no_speech_prob=0.3, compression_ratio=1.1, words=(a,)),
        kept("b", avg_logprob=-0.5, tokens=1, no_speech_prob=0.1, compression_ratio=1.9, words=(b,)),
    ).hypothesis
    assert said.avg_logprob == pytest.approx(-0.2)
    assert said.confidence == pytest.approx(math.exp(-0.2))
    assert (said.no_speech_prob, said.compression_ratio, said.tokens) == (0.3, 1.9, 4)
    assert said.words == (a, b)


def test_the_language_is_that_of_the_most_tokens():
    said = joined(
        kept("a", language="de", language_probability=0.9, tokens=5),
        kept("b", language="en", language_probability=0.99, tokens=6),
        kept("c", language="de", language_probability=0.7, tokens=5),
    ).hypothesis
    assert (said.language, said.language_probability) == ("de", pytest.approx(0.8))


def test_the_model_is_the_accurate_one_if_it_said_any_part():
    said = joined(kept("a"), kept("b", Decision.REDECODED, tier=Tier.ACCURATE)).hypothesis
    assert (said.request.tier, said.model) == (Tier.ACCURATE, "scripted-accurate")


@pytest.mark.parametrize(
    ("decisions", "told"),
    [
        ("accepted verified", "verified"),
        ("redecoded verified accepted", "redecoded"),
        ("redecoded no_accurate_tier", "no_accurate_tier"),
        ("redecode_shed no_accurate_tier", "redecode_shed"),
        ("accepted redecode_timeout redecode_shed", "redecode_timeout"),
        ("redecode_timeout redecode_failed", "redecode_failed"),
    ],
)
def test_the_most_degraded_decision_is_told(decisions, told):
    assert joined(*(kept("x", Decision(d)) for d in decisions.split())).route.decision == told


def test_every_decision_has_its_place():
    for decision in Decision:
        assert joined(kept("x", decision), kept("y", decision)).route.decision is decision
    for reason in DropReason:
        assert join([Dropped(reason), Dropped(reason)]) == Dropped(reason)


def test_all_reasons_are_told_once():
    route = joined(
        kept("a", Decision.REDECODED, (Reason.FEW_WORDS, Reason.DECODE_ERROR)),
        kept("b", Decision.REDECODED, (Reason.LOW_LOGPROB, Reason.FEW_WORDS)),
    ).route
    assert route.reasons == (Reason.LOW_LOGPROB, Reason.FEW_WORDS, Reason.DECODE_ERROR)


def test_what_the_fast_tier_said_is_joined_too():
    route = joined(
        kept("A b", fast=FastResult("a b", 0.9)), kept("c"), kept("D", fast=FastResult("d", 0.3))
    ).route
    assert route.fast == FastResult("a b d", round((0.9 * 0.9 * 0.3) ** (1 / 3), 4))
    assert joined(kept("a"), kept("b")).route.fast is None
    assert joined(kept("a", fast=FastResult("a", 0.0)), kept("b")).route.fast == FastResult("a", 0.0)


@pytest.mark.parametrize("reason", [DropReason.DECODE_FAILED, DropReason.REPETITION])
@pytest.mark.parametrize("decision", [None, Decision.NO_ACCURATE_TIER, Decision.REDECODE_TIMEOUT])
def test_a_final_that_lacks_a_part_says_so(reason, decision):
    route = joined(kept("a"), Dropped(reason, decision)).route
    assert route.decision is (decision or Decision.REDECODE_FAILED)
    assert route.reasons == (Reason.DECODE_ERROR,)


def test_where_all_is_dropped_lost_words_are_told_before_silence():
    parts = [Dropped(DropReason.NO_SPEECH), Dropped(DropReason.DECODE_FAILED), Dropped(DropReason.REPETITION)]
    verdict = join(parts)
    assert isinstance(verdict, Dropped)
    assert verdict.reason is DropReason.DECODE_FAILED
