"""Texts against audio: word times for what was decoded, and whether a draft may stand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from faster_whisper.transcribe import get_compression_ratio

from rtc_stt.audio import samples_to_ms
from rtc_stt.engines import verify
from rtc_stt.engines.encoded import Encoded
from rtc_stt.engines.items import Answer, Item
from rtc_stt.engines.model import Model
from rtc_stt.engines.word_times import longest_token, sound, sound_after, time_words, token_times
from rtc_stt.hypothesis import Hypothesis, Word

__all__ = ["Aligner"]


class Aligner:
    """Aligns rows of a batch; those of one language share a call.

    Args:
        model: What aligns.
        name: What hypotheses call it.
    """

    def __init__(self, model: Model, name: str) -> None:
        self._model = model
        self._name = name

    def with_words(
        self,
        items: Sequence[Item],
        heard: Mapping[int, list[int]],
        answers: Mapping[int, Answer],
        encoded: Encoded,
    ) -> dict[int, Answer]:
        """The answers by index that are to have word times, with them; ``heard`` are text tokens by row."""
        by_language: dict[str, dict[int, list[int]]] = {}
        for row, tokens in heard.items():
            if (
                tokens
                and items[row].request.word_timestamps
                and isinstance(answers[items[row].index], Hypothesis)
            ):
                by_language.setdefault(items[row].language, {})[row] = tokens
        timed: dict[int, Answer] = {}
        for language, texts in by_language.items():
            for row, alignment in self._align(items, texts, language, encoded).items():
                answer = answers[items[row].index]
                assert isinstance(answer, Hypothesis)
                words = self._words(items[row], texts[row], alignment)
                timed[items[row].index] = dataclasses.replace(answer, words=words)
        return timed

    def check_drafts(self, items: Sequence[Item], encoded: Encoded) -> dict[int, Answer]:
        """The drafts that stand, as answers by index."""
        by_language: dict[str, dict[int, list[int]]] = {}
        texts: dict[int, str] = {}
        for row, item in enumerate(items):
            draft = item.request.draft
            # In another language than this model hears, it would be another text.
            if draft and draft.text.strip() and draft.language == item.language:
                tokens = verify.draft_tokens(self._model.tokenizers[draft.language], draft.text)
                if len(tokens) <= item.budget:
                    by_language.setdefault(draft.language, {})[row] = tokens
                    texts[row] = draft.text
        answers: dict[int, Answer] = {}
        for language, drafts in by_language.items():
            tokenizer = self._model.tokenizers[language]
            probed = {row: verify.with_closing_mark(tokenizer, drafts[row], texts[row]) for row in drafts}
            for row, alignment in self._align(items, probed, language, encoded).items():
                answer = self._verified(items[row], drafts[row], alignment)
                if answer:
                    answers[items[row].index] = answer
        return answers

    def _align(
        self, items: Sequence[Item], texts: Mapping[int, list[int]], language: str, encoded: Encoded
    ) -> dict[int, Any]:
        """Alignments by row, for texts by row that are in one language."""
        rows = list(texts)
        frames = [items[row].mel.shape[1] for row in rows]
        results = self._model.align(encoded, rows, list(texts.values()), frames, language)
        return dict(zip(rows, results, strict=True))

    def _words(self, item: Item, tokens: list[int], alignment: Any) -> tuple[Word, ...]:
        origin_ms = samples_to_ms(item.request.audio_start)
        return time_words(self._model.tokenizers[item.language], tokens, alignment, item.mel, origin_ms)

    def _verified(self, item: Item, tokens: list[int], alignment: Any) -> Hypothesis | None:
        """The draft as this model's own answer, if it stands."""
        draft = item.request.draft
        assert draft
        times, loud = token_times(alignment, len(tokens)), sound(item.mel)
        score = verify.Score.of(
            alignment.text_token_probs, sound_after(loud, times[-1]), longest_token(loud, times)
        )
        if not verify.stands(score):
            return None
        answer = Hypothesis(
            request=item.request,
            text=draft.text,
            language=item.language,
            language_probability=item.language_probability,
            avg_logprob=math.log(score.mean),
            no_speech_prob=0.0,
            compression_ratio=get_compression_ratio(draft.text),
            tokens=len(tokens),
            model=self._name,
            words=self._words(item, tokens, alignment) if item.request.word_timestamps else (),
            verified=True,
        )
        return answer if verify.is_sound(answer) else None
