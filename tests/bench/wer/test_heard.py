"""What would be sent of a recording: the service's own finalizer says it, for any routing."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.wer.heard import ALWAYS, NEVER, Cost
from rtc_stt.config import Routing
from rtc_stt.events import Reason
from rtc_stt.hypothesis import Tier
from rtc_stt.router import reasons_to_redecode
from tests.bench.wer.made import heard, piece

LOOP = "one two three " * 20


@pytest.mark.parametrize(
    ("made", "never", "routed", "always", "reasons"),
    [
        (piece("a b c", "A B C", 0.9), "a b c", "a b c", "A B C", ()),
        (piece("a b c", "A B C", 0.5), "a b c", "A B C", "A B C", (Reason.LOW_LOGPROB,)),
        (piece("a", "A B C"), "a", "A B C", "A B C", (Reason.FEW_WORDS,)),
        # What is no text is doubted whatever the thresholds.
        (piece(None, "A B C"), "A B C", "A B C", "A B C", (Reason.DECODE_ERROR,)),
        (piece("", "A B C"), "A B C", "A B C", "A B C", (Reason.FEW_WORDS,)),
        (piece(LOOP, "A B C"), "A B C", "A B C", "A B C", (Reason.DECODE_ERROR,)),
        # Where the accurate tier is no better, the fast text stands.
        (piece("a b c", None, 0.5), "a b c", "a b c", "a b c", (Reason.LOW_LOGPROB,)),
        (piece("a b c", LOOP, 0.5), "a b c", "a b c", "a b c", (Reason.LOW_LOGPROB,)),
        (piece("a b c", "", 0.5), "a b c", "", "", (Reason.LOW_LOGPROB,)),
        # Nobody spoke, says the model, and asks nobody.
        (piece("", "A B C", no_speech_prob=0.9), "", "", "", ()),
    ],
)
def test_what_is_sent(made, never, routed, always, reasons):
    assert made.routed(NEVER).text == never
    told = made.routed(Routing())
    assert (told.text, told.reasons, told.is_redecoded) == (routed, reasons, bool(reasons))
    assert made.routed(ALWAYS).text == always


def test_a_model_alone_has_the_last_word():
    made = piece("a b c", "A B C", 0.1)
    assert (made.alone(Tier.FAST), made.alone(Tier.ACCURATE)) == ("a b c", "A B C")
    assert piece(None, LOOP).alone(Tier.FAST) == ""
    assert piece(None, LOOP).alone(Tier.ACCURATE) == ""


def test_a_recording_is_its_pieces_without_those_that_are_dropped():
    whole = heard("", piece("a b c", "A B C"), piece("", "", no_speech_prob=0.9), piece("d", "D E F"))
    assert whole.routed(Routing()) == "a b c D E F"
    assert whole.alone(Tier.FAST) == "a b c d"
    assert heard("").routed(Routing()) == ""


def test_costs_add_up():
    assert Cost(1, 2) + Cost(3, 4) == Cost(4, 6)


texts = st.none() | st.sampled_from(["", "a", "a b", "a b c d", LOOP, "thank you"])
odds = st.floats(0.01, 1)
routings = st.builds(Routing, logprob_threshold=odds, langprob_threshold=odds, min_words=st.integers(0, 6))


@given(texts, texts, odds, odds, odds, st.sampled_from([None, "en"]), routings, routings)
def test_the_route_only_chooses_between_two_texts_and_more_doubt_asks_more(
    fast, accurate, confidence, language_probability, no_speech, language, low, high
):
    made = piece(
        fast,
        accurate,
        confidence,
        language=language,
        language_probability=language_probability,
        no_speech_prob=no_speech,
    )
    told = made.routed(low)
    assert told.text == made.routed(ALWAYS if told.is_redecoded else NEVER).text
    higher = Routing(
        **{
            name: max(getattr(low, name), getattr(high, name))
            for name in ("logprob_threshold", "langprob_threshold", "min_words")
        }
    )
    assert made.routed(higher).is_redecoded >= told.is_redecoded
    if fast and fast != LOOP and told.is_redecoded:
        assert told.reasons == reasons_to_redecode(made.fast, low)


def test_only_thresholds_are_between_never_and_always():
    for field in dataclasses.fields(Routing):
        if field.name not in ("logprob_threshold", "langprob_threshold", "min_words"):
            assert getattr(NEVER, field.name) == getattr(ALWAYS, field.name) == field.default
