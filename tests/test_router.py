"""When the fast hypothesis is doubted."""

from __future__ import annotations

import math

import pytest

from rtc_stt.config import Routing
from rtc_stt.events import Reason
from rtc_stt.router import reasons_to_redecode
from rtc_stt.testing import hypothesis
from tests.harness import request

ROUTING = Routing()


def reasons(text: str = "a few words", language: str | None = None, **figures: object) -> tuple[Reason, ...]:
    return reasons_to_redecode(hypothesis(request(language=language), text, **figures), ROUTING)


def test_a_sure_hypothesis_stands():
    assert reasons() == ()


@pytest.mark.parametrize(("confidence", "doubted"), [(0.56, False), (0.54, True)])
def test_confidence_is_exp_of_avg_logprob(confidence, doubted):
    assert (Reason.LOW_LOGPROB in reasons(avg_logprob=math.log(confidence))) is doubted


@pytest.mark.parametrize(("probability", "doubted"), [(0.70, False), (0.69, True)])
def test_an_improbable_language_is_doubted(probability, doubted):
    assert (Reason.LOW_LANGUAGE_PROBABILITY in reasons(language_probability=probability)) is doubted


def test_a_forced_language_is_never_doubted():
    assert reasons(language="en", language_probability=0.01) == ()


@pytest.mark.parametrize(("text", "doubted"), [("one two three", False), ("one two", True), ("", True)])
def test_few_words_are_doubted(text, doubted):
    assert (Reason.FEW_WORDS in reasons(text)) is doubted


def test_chinese_counts_characters_as_words():
    assert reasons("谢谢你") == ()


def test_all_reasons_are_told():
    assert reasons("yes", avg_logprob=-2.0, language_probability=0.2) == (
        Reason.LOW_LOGPROB,
        Reason.LOW_LANGUAGE_PROBABILITY,
        Reason.FEW_WORDS,
    )


def test_a_threshold_of_zero_doubts_nothing():
    never = Routing(logprob_threshold=0, langprob_threshold=0, min_words=0)
    unsure = hypothesis(request(), "", avg_logprob=-50.0, language_probability=0.0)
    assert reasons_to_redecode(unsure, never) == ()
