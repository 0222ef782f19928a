"""Was this really said? Whisper invents text in silence and loops in noise, often with a high logprob.

So three kinds of evidence are weighed: what the model says of itself, how its text looks, and how sure the
voice activity detector was that anybody spoke.
"""

from __future__ import annotations

import re
import unicodedata

from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import DropReason
from rtc_stt.hypothesis import Hypothesis
from rtc_stt.stabilizer import normalise_word, split_words

__all__ = ["KNOWN_PHRASES", "doubt", "is_suspicious", "loops"]

NO_SPEECH_PROB = 0.6
"""Above this the model itself believes that nobody spoke (Whisper's own threshold)."""

NO_SPEECH_LOGPROB = -1.0
"""Unless its text is more probable than this (Whisper's own threshold)."""

WEAK_NO_SPEECH_PROB = 0.2
"""Evidence enough where the text is a phrase known to be invented, or is improbable itself."""

UNSURE_LOGPROB = -0.5
"""A confidence of 0.6. What a model invents in a burst of noise stays below."""

COMPRESSION_RATIO = 2.4
"""Above this a text repeats itself (Whisper's own threshold)."""

TOKENS_PER_SECOND = 8.0
"""Fast speech reaches five or six; more than eight were not spoken."""

TOKENS_FREE = 8
"""Short audio may hold this many tokens whatever its length: a burst of digits, a spelled name."""

WEAK_SPEECH = 0.65
"""Mean speech probability under which the detector was not sure. Clear speech scores over 0.9, and speech
in noise of 5 to 12 dB over 0.8 in 95 of 100 clips."""

UNSURE_SPEECH = 0.8
"""Likewise, where the model itself believes that nobody spoke: then the detector must be sure."""

CHARS_PER_SECOND = 30.0
"""More characters than this in a second of detected speech were not spoken (fast speech: about 20)."""

KNOWN_PHRASES = frozenset(
    {
        # What Whisper learned from subtitles and says in silence. They are also real sentences, so they
        # are dropped only where the acoustic evidence agrees.
        "thank you", "thanks", "thank you very much", "thank you so much", "thanks for watching",
        "thank you for watching", "thank you so much for watching", "thanks for listening",
        "please subscribe", "please subscribe to my channel", "like and subscribe", "subscribe",
        "see you next time", "see you in the next video", "i'll see you in the next video",
        "bye", "bye bye", "you", "okay", "so", "uh", "um", "the end", "music", "applause", "silence",
        "subtitles by the amara org community", "transcription by castingwords",
        "gracias", "gracias por ver el video", "subtítulos realizados por la comunidad de amara org",
        "vielen dank", "vielen dank fürs zuschauen", "untertitel der amara org community",
        "untertitelung des zdf 2020", "untertitel im auftrag des zdf für funk 2017",
        "merci", "merci d'avoir regardé cette vidéo", "sous titres réalisés para la communauté d'amara org",
        "ご視聴ありがとうございました", "谢谢观看", "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
    }
)  # fmt: skip

_SEPARATORS = re.compile(r"[^\w']+")


def _phrase(text: str) -> str:
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def loops(text: str) -> bool:
    """Whether the text says the same one to eight words three times in a row or more, for most of it.

    A spoken "no, no, no" or "one one one" is no loop: below nine repeated words nothing is judged.
    """
    words = [normalise_word(w) for w in split_words(text)]
    for size in range(1, 9):
        run = longest = 0
        for i in range(size, len(words)):
            run = run + 1 if words[i] == words[i - size] else 0
            longest = max(longest, run)
        repeated = longest + size if longest >= 2 * size else 0
        if repeated >= 9 and repeated > len(words) / 2:
            return True
    return False


def is_suspicious(hypothesis: Hypothesis) -> bool:
    """Whether a decode of short audio looks like one that went wrong, and deserves the full 30 s context.

    The rule and its figures: short windows make stock Whisper weights loop or babble, and then the text
    compresses well, is improbable, or is longer than anyone can speak.
    """
    seconds = hypothesis.request.duration_ms / 1000
    return (
        hypothesis.compression_ratio > COMPRESSION_RATIO
        or hypothesis.avg_logprob < NO_SPEECH_LOGPROB
        or hypothesis.tokens > TOKENS_FREE + TOKENS_PER_SECOND * seconds
        or loops(hypothesis.text)
    )


def doubt(hypothesis: Hypothesis, evidence: SpeechEvidence) -> DropReason | None:
    """Why this hypothesis should not become a final, or None."""
    text = hypothesis.text.strip()
    if not any(c.isalnum() for c in text):
        return DropReason.NO_SPEECH
    if _nobody_spoke(hypothesis, evidence):
        return DropReason.NO_SPEECH
    if hypothesis.compression_ratio > COMPRESSION_RATIO or loops(text):
        return DropReason.REPETITION
    if _phrase(text) in KNOWN_PHRASES and _silence_is_likely(hypothesis, evidence):
        return DropReason.KNOWN_PHRASE
    return None


def _nobody_spoke(hypothesis: Hypothesis, evidence: SpeechEvidence) -> bool:
    """Two strong signs, or three weak ones."""
    detector_is_unsure = evidence.mean_probability < UNSURE_SPEECH
    if hypothesis.no_speech_prob > NO_SPEECH_PROB:
        return detector_is_unsure or hypothesis.avg_logprob < NO_SPEECH_LOGPROB
    text_is_unsure = hypothesis.avg_logprob < UNSURE_LOGPROB
    return hypothesis.no_speech_prob > WEAK_NO_SPEECH_PROB and text_is_unsure and detector_is_unsure


def _silence_is_likely(hypothesis: Hypothesis, evidence: SpeechEvidence) -> bool:
    too_much_text = len(hypothesis.text) > CHARS_PER_SECOND * evidence.speech_ms / 1000
    return (
        hypothesis.no_speech_prob > WEAK_NO_SPEECH_PROB
        or evidence.mean_probability < WEAK_SPEECH
        or too_much_text
    )
