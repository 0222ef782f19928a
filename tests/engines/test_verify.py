"""Drafts: what makes one stand, and that right ones do and wrong ones do not."""

from __future__ import annotations

import math

import pytest

from rtc_stt import demo_models
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.engines import verify
from rtc_stt.engines.verify import Score, draft_tokens, stands, with_closing_mark
from rtc_stt.hypothesis import Draft, Hypothesis
from tests.harness import request
from tools.decode_engine.engines import ask, load


def test_a_score_is_the_mean_and_the_weakest():
    score = Score.of([0.9, 0.4, 0.9], 0.1, 0.2)
    assert score.mean == pytest.approx((0.9 * 0.4 * 0.9) ** (1 / 3))
    assert score.weakest == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("probabilities", "rest_s", "longest_s", "verdict"),
    [
        ([0.99] * 8, 0.0, 0.5, True),
        ([0.85] * 8, 0.0, 0.5, False),
        ([0.99] * 40 + [0.1], 0.0, 0.5, False),
        ([0.99] * 8, 0.6, 0.5, False),
        ([0.99] * 8, 0.0, 1.5, False),
        ([0.99, 0.0], 0.0, 0.5, False),
        ([0.99, math.nan], 0.0, 0.5, False),
    ],
)
def test_what_lets_a_text_stand(probabilities, rest_s, longest_s, verdict):
    assert stands(Score.of(probabilities, rest_s, longest_s)) is verdict


class Dots:
    """A tokenizer of characters."""

    def __init__(self, language_code: str = "en") -> None:
        self.language_code = language_code

    def encode(self, text: str) -> list[int]:
        return [13 if character == "." else ord(character) for character in text]


@pytest.mark.parametrize(
    ("text", "added"), [("Yes", True), ("Yes.", False), ('"Yes?"', False), ("はい。", False)]
)
def test_a_text_without_a_closing_mark_is_asked_for_one(text, added):
    assert with_closing_mark(Dots(), [1], text) == ([1, 13] if added else [1])


def test_a_draft_begins_with_a_space_where_words_have_spaces():
    assert draft_tokens(Dots("en"), " no ") == [ord(c) for c in " no"]
    assert draft_tokens(Dots("ja"), "はい") == [ord(c) for c in "はい"]


def test_what_is_often_invented_in_silence_is_never_only_verified():
    def said(text: str) -> Hypothesis:
        return Hypothesis(request(), text, "en", 1.0, -0.01, 0.0, 1.0, 4, "m", verified=True)

    assert verify.is_sound(said("Turn on the lights."))
    assert not verify.is_sound(said("Thank you."))
    assert not verify.is_sound(said("..."))


# ── With the accurate demo model ──


@pytest.fixture(scope="module")
def engine():
    return load(demo_models.ACCURATE)


@pytest.fixture(scope="module")
def clips():
    return load_clips("clean", limit=6)


def draft(text: str, language: str = "en") -> Draft:
    return Draft(text, language, 0.8)


def test_right_texts_stand_and_are_this_models_answer(engine, clips):
    standing = [
        heard
        for clip in clips
        if (heard := engine.decode(ask(clip.audio(), draft=draft(clip.text), word_timestamps=True))).verified
    ]
    assert len(standing) >= len(clips) - 1
    for heard in standing:
        assert heard.text in {clip.text for clip in clips}
        assert heard.model == engine.name
        assert heard.language == "en"
        assert heard.language_probability > 0.9  # what this model heard, not what the draft says
        assert math.log(verify.MIN_MEAN) <= heard.avg_logprob <= 0
        assert [word.word for word in heard.words] == heard.text.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        lambda words: [*words[:-2], "seventeen", words[-1]],
        lambda words: [*words[:-2], words[-2].rstrip(",") + "."],
        lambda words: words[:-1],
        lambda words: words[1:],
        lambda words: [*words, "Thank", "you."],
    ],
    ids=["exchanged", "cut with a mark", "cut without", "beginning lost", "added"],
)
def test_wrong_texts_are_decoded(engine, clips, spoil):
    for clip in clips:
        wrong = " ".join(spoil(clip.text.split()))
        heard = engine.decode(ask(clip.audio(), draft=draft(wrong)))
        assert not heard.verified
        assert heard.text == engine.decode(ask(clip.audio())).text


def test_a_draft_in_a_language_that_is_not_meant_is_decoded(engine, clips):
    audio, text = clips[0].audio(), clips[0].text
    assert not engine.decode(ask(audio, draft=draft(text, "de"))).verified
    assert not engine.decode(ask(audio, draft=draft(text, "ja"))).verified
    forced = request(audio=audio, language="es", draft=draft(text))
    assert not engine.decode(forced).verified
    among = request(audio=audio, languages=("es", "de"), draft=draft(text))
    assert not engine.decode(among).verified


@pytest.mark.parametrize("text", ["", "  ", "word " * 80])
def test_a_draft_that_is_none_or_cannot_have_been_said_is_decoded(engine, clips, text):
    assert not engine.decode(ask(clips[0].audio(), draft=draft(text))).verified


def test_drafts_right_wrong_and_absent_share_a_batch(engine, clips):
    right, wrong, without = clips[0], clips[1], clips[2]
    answers = engine.decode_batch(
        [
            ask(right.audio(), draft=draft(right.text)),
            ask(wrong.audio(), draft=draft(right.text)),
            ask(without.audio()),
        ]
    )
    assert [answer.verified for answer in answers] == [True, False, False]
    assert [answer.text for answer in answers] == [
        right.text,
        engine.decode(ask(wrong.audio())).text,
        engine.decode(ask(without.audio())).text,
    ]
