"""What was never said is dropped, and what was said is not."""

from __future__ import annotations

import pytest

from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import DropReason
from rtc_stt.guard import KNOWN_PHRASES, doubt, is_suspicious, loops
from rtc_stt.hypothesis import Hypothesis
from rtc_stt.testing import hypothesis
from tests.harness import CLEAR, request

UNSURE = SpeechEvidence(speech_ms=1_000, mean_probability=0.6)


def heard(text: str, **figures: object) -> Hypothesis:
    return hypothesis(request(), text, **figures)


def test_a_plain_sentence_is_not_doubted():
    assert doubt(heard("turn on the lights"), CLEAR) is None


@pytest.mark.parametrize("text", ["", "   ", ".", "…", "- - -", "♪♪"])
def test_text_without_a_letter_or_digit_is_no_speech(text):
    assert doubt(heard(text), CLEAR) is DropReason.NO_SPEECH


def test_the_model_believes_in_silence_and_is_unsure_of_its_text():
    assert doubt(heard("hello there", no_speech_prob=0.7, avg_logprob=-1.1), CLEAR) is DropReason.NO_SPEECH


def test_a_probable_text_outweighs_the_belief_in_silence():
    assert doubt(heard("hello there", no_speech_prob=0.9, avg_logprob=-0.9), CLEAR) is None


@pytest.mark.parametrize("probable", [-0.9, -0.05])
def test_no_text_outweighs_model_and_detector_together(probable):
    noise = SpeechEvidence(speech_ms=400, mean_probability=0.7)
    assert doubt(heard("four", no_speech_prob=0.9, avg_logprob=probable), noise) is DropReason.NO_SPEECH
    assert doubt(heard("four", no_speech_prob=0.15, avg_logprob=probable), noise) is None


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "sure"), [(0.15, -0.9, 0.7), (0.3, -0.4, 0.7), (0.3, -0.9, 0.85)]
)
def test_three_weak_signs_of_silence_count_only_together(no_speech_prob, avg_logprob, sure):
    def verdict(nobody: float, logprob: float, detector: float) -> DropReason | None:
        evidence = SpeechEvidence(speech_ms=400, mean_probability=detector)
        return doubt(heard("four", no_speech_prob=nobody, avg_logprob=logprob), evidence)

    assert verdict(0.3, -0.9, 0.7) is DropReason.NO_SPEECH
    assert verdict(no_speech_prob, avg_logprob, sure) is None


def test_an_improbable_text_alone_is_no_silence():
    assert doubt(heard("hello there", no_speech_prob=0.5, avg_logprob=-3), CLEAR) is None


def test_text_that_compresses_well_repeats_itself():
    assert doubt(heard("la la la", compression_ratio=2.5), CLEAR) is DropReason.REPETITION


@pytest.mark.parametrize(
    "text",
    ["no " * 9, "thank you " * 5, "and so it goes " * 3, "I am. i am, I AM " * 3, "哈" * 12],
)
def test_loops_are_found(text):
    assert loops(text)
    assert doubt(heard(text), CLEAR) is DropReason.REPETITION


@pytest.mark.parametrize(
    "text",
    [
        "one one one",
        "zero zero zero zero five five five",
        "no no no",
        "five five five five five five five five",
        "yes yes yes I would like to book a table for two people please",
        "one two three one two four one two five one two six",
    ],
)
def test_digits_and_emphasis_are_no_loop(text):
    assert not loops(text)
    assert doubt(heard(text), CLEAR) is None


def test_a_loop_in_a_small_part_of_a_long_text_is_let_pass():
    assert not loops("no " * 9 + "but " + " ".join(f"word{i}" for i in range(20)))


@pytest.mark.parametrize(
    ("figures", "evidence"),
    [
        ({"no_speech_prob": 0.25}, CLEAR),
        ({}, UNSURE),
        ({}, SpeechEvidence(speech_ms=200, mean_probability=0.95)),  # 9 characters in 0.2 s
    ],
    ids=["model hears silence", "detector unsure", "too much text for the speech"],
)
def test_a_known_phrase_is_dropped_where_the_acoustic_evidence_agrees(figures, evidence):
    assert doubt(heard("Thank you.", **figures), evidence) is DropReason.KNOWN_PHRASE


def test_a_known_phrase_that_was_clearly_spoken_stays():
    assert doubt(heard("Thank you."), CLEAR) is None


def test_other_words_are_not_judged_by_weak_evidence():
    assert doubt(heard("Thank you, Peter."), UNSURE) is None


@pytest.mark.parametrize("phrase", sorted(KNOWN_PHRASES))
def test_every_known_phrase_is_found_as_a_model_writes_it(phrase):
    assert doubt(heard(phrase[:1].upper() + phrase[1:] + "!"), UNSURE) is DropReason.KNOWN_PHRASE


@pytest.mark.parametrize(
    "text", ["Merci d'avoir regardé cette vidéo !", "Thanks for watching!!!", "BYE-BYE."]
)
def test_known_phrases_are_found_whatever_their_punctuation(text):
    assert doubt(heard(text), UNSURE) is DropReason.KNOWN_PHRASE


@pytest.mark.parametrize(
    "figures",
    [{"compression_ratio": 2.5}, {"avg_logprob": -1.1}, {"tokens": 17}],
    ids=["compresses", "improbable", "longer than a second can hold"],
)
def test_a_short_decode_that_went_wrong_is_suspicious(figures):
    assert is_suspicious(heard("hello", **figures))


def test_a_loop_is_suspicious():
    assert is_suspicious(heard("no " * 9, tokens=9))


def test_a_burst_of_digits_is_not_suspicious():
    assert not is_suspicious(heard("one two three four five six", tokens=12))
