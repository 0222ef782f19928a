"""Whisper on CTranslate2, called directly: the real length of the audio is decoded, not 30 s of padding.

faster-whisper loads the model and brings tokenizer and features. Its ``transcribe`` is not used, since it
always pads to 30 s, which on short audio costs more than everything else together.

Requests of many sessions share a call (see ``batching.py``); a single request is a batch of one.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper.transcribe import get_compression_ratio

from rtc_stt import guard
from rtc_stt.audio import samples_to_ms
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import verify
from rtc_stt.engines.batching import FULL_FRAMES, Row, context_frames, plan
from rtc_stt.engines.encoded import Encoded
from rtc_stt.engines.languages import allowed, most_probable
from rtc_stt.engines.model import Model
from rtc_stt.engines.prompts import build_prompt
from rtc_stt.engines.word_times import Mel, longest_token, sound, sound_after, time_words, token_times
from rtc_stt.errors import DecodeError, EngineBroken, ModelError, trace
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Urgency, Word

__all__ = ["WhisperEngine", "context_frames"]

log = logging.getLogger(__name__)

MAX_NEW_TOKENS = 224
"""Whisper's own limit for one window."""

Answer = Hypothesis | DecodeError


@dataclass(slots=True, eq=False)
class _Item:
    """A request on its way through the model."""

    index: int
    request: DecodeRequest
    mel: Mel
    prompt_tokens: int
    beam: int
    budget: int
    """Text tokens that the audio can hold; more were not spoken."""
    language: str
    """Empty until it is detected."""
    language_probability: float = 1.0

    @property
    def is_final(self) -> bool:
        return self.request.urgency is not Urgency.PARTIAL

    @property
    def wants_words(self) -> bool:
        return self.request.word_timestamps and self.is_final


class WhisperEngine:
    """One model. ``decode`` and ``decode_batch`` may be called from ``workers`` threads at a time.

    Args:
        path: A CTranslate2 Whisper folder.
        name: What events call this model; the folder's name by default.
        workers: Decodes that may run side by side.
        beam_size: Beam of final decodes; partials and eager finals of the fast tier are greedy anyway.

    Raises:
        ModelError: the model cannot be loaded; the message says why.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        device: str = "auto",
        device_index: int = 0,
        compute_type: str = "default",
        cpu_threads: int = 1,
        workers: int = 1,
        beam_size: int = 1,
        context_policy: ContextPolicy = ContextPolicy.PADDED,
    ) -> None:
        self.name = name or path.name
        self._model = Model(
            path,
            self.name,
            device=device,
            device_index=device_index,
            compute_type=compute_type,
            cpu_threads=cpu_threads,
            num_workers=workers,
        )
        self._workers = workers
        self._beam_size = beam_size
        self._policy = context_policy
        self.languages = self._model.languages

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return self._model.device

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """Decode one request: :meth:`decode_batch` of one.

        Raises:
            DecodeError: it could not.
            EngineBroken: and the next request will fare no better before :meth:`reload`.
        """
        [answer] = self.decode_batch([request])
        if isinstance(answer, DecodeError):
            raise answer
        return answer

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Answer]:
        """Decode requests of any sessions together, each with its own options; answers in their order.

        What fails is an entry and harms no other: it is first tried again alone. A final from short context
        that looks wrong is decoded again alone with the full 30 s. Where a request brings a draft, that is
        checked, and only decoded if it does not stand.

        Raises:
            EngineBroken: the device or the model is at fault.
        """
        answers: dict[int, Answer] = {}
        items = []
        for index, request in enumerate(requests):
            try:
                items.append(self._prepare(index, request))
            except Exception as error:
                answers[index] = self._failure(error)
        answers |= self._run(items, self._policy)
        for item in items:
            answer = answers[item.index]
            if isinstance(answer, DecodeError) and len(items) > 1:
                answer = self._again(item, self._policy)
            is_short = item.is_final and self._policy is not ContextPolicy.FULL
            if is_short and isinstance(answer, Hypothesis) and guard.is_suspicious(answer):
                log.debug("%s: doubtful on short context, decoding again in full", self.name)
                answer = self._again(item, ContextPolicy.FULL)
            answers[item.index] = answer
        return [answers[index] for index in range(len(requests))]

    def warm_up(self) -> None:
        """Decode 30 s of silence on every worker.

        So the first speaker does not pay for lazy initialisation, and a machine that is too small for the
        longest decode says so at the start and not at night.
        """
        prompt = [*self._model.any_tokenizer.sot_sequence]
        silence = np.zeros((self._model.n_mels, FULL_FRAMES), np.float32)

        def decode(_: int) -> None:
            encoded = self._model.encode([silence], FULL_FRAMES)
            self._model.generate(encoded, [0], [prompt], self._beam_size, MAX_NEW_TOKENS)

        with ThreadPoolExecutor(self._workers) as executor:
            list(executor.map(decode, range(self._workers)))

    def reload(self) -> None:
        """Load the model anew after :class:`EngineBroken`, and warm it up. One thread at a time.

        Raises:
            ModelError: it cannot be loaded or cannot decode; the engine stays broken.
        """
        self._model.reload()
        try:
            self.warm_up()
        except (EngineBroken, RuntimeError) as error:
            raise ModelError(f"{self.name} was loaded anew and cannot decode") from error

    # ── From requests to batches ─────────────────────────────────────────────────

    def _prepare(self, index: int, request: DecodeRequest) -> _Item:
        code = request.language
        if code is not None and code not in self.languages:
            # CTranslate2 would drop the unknown token in silence and decode in any language.
            raise DecodeError(f"{self.name} does not know the language {code!r}")
        among = allowed(request.languages, self.languages)
        if code is None and len(among) == 1:
            code = among[0]
        seconds = request.duration_ms / 1000
        return _Item(
            index=index,
            request=request,
            mel=self._model.features(request.audio),
            prompt_tokens=len(build_prompt(self._model.any_tokenizer, request)),
            beam=self._beam_size if request.urgency is not Urgency.PARTIAL else 1,
            budget=min(MAX_NEW_TOKENS, round(guard.TOKENS_FREE + guard.TOKENS_PER_SECOND * seconds) + 1),
            language=code or "",
        )

    def _run(
        self, items: Sequence[_Item], policy: ContextPolicy, *, check_drafts: bool = True
    ) -> dict[int, Answer]:
        """Answers by index."""
        by_index = {item.index: item for item in items}
        answers: dict[int, Answer] = {}
        for batch in plan(self._row(item, policy) for item in items):
            # Copies: the language that one pass detects does not bind the next.
            members = [dataclasses.replace(by_index[index]) for index in batch.indices]
            try:
                answers |= self._decode_rows(members, batch.frames, check_drafts=check_drafts)
            except EngineBroken:
                raise
            except Exception as error:
                answers |= {index: self._failure(error) for index in batch.indices}
        return answers

    def _again(self, item: _Item, policy: ContextPolicy) -> Answer:
        """Alone, and from nothing."""
        return self._run([item], policy, check_drafts=False)[item.index]

    def _row(self, item: _Item, policy: ContextPolicy) -> Row:
        frames = context_frames(item.mel.shape[1], policy, self._model.n_mels)
        return Row(item.index, frames, item.beam, item.prompt_tokens)

    def _failure(self, error: Exception) -> DecodeError:
        if isinstance(error, DecodeError):
            return error
        log.error("%s failed: %s", self.name, trace(error))
        return DecodeError(f"{self.name}: {type(error).__name__}")

    # ── One batch ────────────────────────────────────────────────────────────────

    def _decode_rows(self, items: Sequence[_Item], frames: int, *, check_drafts: bool) -> dict[int, Answer]:
        """Answers by index, of rows that :func:`plan` put together."""
        encoded = self._model.encode([item.mel for item in items], frames)
        self._detect_languages(items, encoded)
        answers: dict[int, Answer] = {
            item.index: DecodeError(f"{self.name} found no language") for item in items if not item.language
        }
        if check_drafts:
            answers |= self._check_drafts(items, encoded)
        rows = [row for row, item in enumerate(items) if item.index not in answers]
        heard = self._generate(items, rows, encoded, answers)
        self._add_words(items, heard, encoded, answers)
        return answers

    def _detect_languages(self, items: Sequence[_Item], encoded: Encoded) -> None:
        """Give a language to each row that has none, as far as one can be told."""
        unknown = [row for row, item in enumerate(items) if not item.language]
        if not unknown:
            return
        for row, probabilities in zip(unknown, self._model.detect_language(encoded, unknown), strict=True):
            among = allowed(items[row].request.languages, self.languages) or self.languages
            found = most_probable(probabilities, among)
            if found:
                items[row].language, items[row].language_probability = found

    def _generate(
        self, items: Sequence[_Item], rows: Sequence[int], encoded: Encoded, answers: dict[int, Answer]
    ) -> dict[int, list[int]]:
        """Answer these rows. Returns their text tokens."""
        if not rows:
            return {}
        prompts = [build_prompt(self._model.tokenizers[items[r].language], items[r].request) for r in rows]
        budget = max(items[row].budget for row in rows)
        heard = {}
        results = self._model.generate(encoded, rows, prompts, items[rows[0]].beam, budget)
        for row, result in zip(rows, results, strict=True):
            # The call's limit is that of its longest row.
            heard[row] = result.sequences_ids[0][: items[row].budget]
            answers[items[row].index] = self._hypothesis(items[row], heard[row], result)
        return heard

    def _hypothesis(self, item: _Item, tokens: list[int], result: Any) -> Answer:
        # Of no tokens there is no score. Of some, overflow in half precision would pass for full confidence.
        score = result.scores[0] if tokens else 0.0
        if not math.isfinite(score):
            return DecodeError(f"{self.name} gave no finite score")
        text = self._model.tokenizers[item.language].decode(tokens).strip()
        return Hypothesis(
            request=item.request,
            text=text,
            language=item.language,
            language_probability=item.language_probability,
            # The score is the mean over the text tokens; with the end token there is one more.
            avg_logprob=min(0.0, score * len(tokens) / (len(tokens) + 1)),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=get_compression_ratio(text) if text else 0.0,
            tokens=len(tokens),
            model=self.name,
        )

    # ── Alignment: word times and drafts ─────────────────────────────────────────

    def _align(
        self, items: Sequence[_Item], texts: Mapping[int, list[int]], language: str, encoded: Encoded
    ) -> dict[int, Any]:
        """Alignments by row, for texts by row that are in one language."""
        rows = list(texts)
        frames = [items[row].mel.shape[1] for row in rows]
        results = self._model.align(encoded, rows, list(texts.values()), frames, language)
        return dict(zip(rows, results, strict=True))

    def _add_words(
        self,
        items: Sequence[_Item],
        heard: Mapping[int, list[int]],
        encoded: Encoded,
        answers: dict[int, Answer],
    ) -> None:
        """Word times for the finals that asked for them."""
        by_language: dict[str, dict[int, list[int]]] = {}
        for row, tokens in heard.items():
            if tokens and items[row].wants_words and isinstance(answers[items[row].index], Hypothesis):
                by_language.setdefault(items[row].language, {})[row] = tokens
        for language, texts in by_language.items():
            for row, alignment in self._align(items, texts, language, encoded).items():
                answer = answers[items[row].index]
                assert isinstance(answer, Hypothesis)
                words = self._words(items[row], language, texts[row], alignment)
                answers[items[row].index] = dataclasses.replace(answer, words=words)

    def _words(self, item: _Item, language: str, tokens: list[int], alignment: Any) -> tuple[Word, ...]:
        origin_ms = samples_to_ms(item.request.audio_start)
        return time_words(self._model.tokenizers[language], tokens, alignment, item.mel, origin_ms)

    def _check_drafts(self, items: Sequence[_Item], encoded: Encoded) -> dict[int, Answer]:
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

    def _verified(self, item: _Item, tokens: list[int], alignment: Any) -> Hypothesis | None:
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
            model=self.name,
            words=self._words(item, item.language, tokens, alignment) if item.wants_words else (),
            verified=True,
        )
        return answer if verify.is_sound(answer) else None
