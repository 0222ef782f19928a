"""Whisper on CTranslate2, called directly: the real length of the audio is decoded, not 30 s of padding.

faster-whisper loads the model and brings tokenizer and features. Its ``transcribe`` is not used, since it
always pads to 30 s, which on short audio costs more than everything else together.

Requests of many sessions share a call (see ``batching.py``); a single request is a batch of one.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper.transcribe import get_compression_ratio

from rtc_stt import guard
from rtc_stt.config import ContextPolicy
from rtc_stt.engines.alignment import Aligner
from rtc_stt.engines.batching import FULL_FRAMES, Row, context_frames, plan
from rtc_stt.engines.encoded import Encoded
from rtc_stt.engines.items import Answer, Item
from rtc_stt.engines.languages import allowed, most_probable
from rtc_stt.engines.model import Model
from rtc_stt.engines.prompts import build_prompt
from rtc_stt.errors import DecodeError, EngineBroken, ModelError, trace
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Urgency

__all__ = ["WhisperEngine", "context_frames"]

log = logging.getLogger(__name__)

MAX_NEW_TOKENS = 224
"""Whisper's own limit for one window."""

WARM_UP_S = 8.0
"""Of each utterance in the full batch at the start: longer than most, and no longer than a slow machine can
bear."""


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
        self._aligner = Aligner(self._model, self.name)
        self._workers = workers
        self._warm_rows = 1
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

    def warm_up(self, rows: int | None = None) -> None:
        """Decode 30 s of silence on every worker, and a call of ``rows`` utterances (None: as the last time).

        So the first speaker does not pay for lazy initialisation, and a machine that is too small for the
        longest decode, or for a full batch, says so at the start and not at night.
        """
        self._warm_rows = rows or self._warm_rows
        prompt = [*self._model.any_tokenizer.sot_sequence]

        def decode(call: tuple[int, int, int]) -> None:
            rows, frames, budget = call
            silence = np.zeros((self._model.n_mels, frames), np.float32)
            encoded = self._model.encode([silence] * rows, frames)
            self._model.generate(encoded, [*range(rows)], [prompt] * rows, self._beam_size, budget)

        utterance = context_frames(round(WARM_UP_S * 100), self._policy, self._model.n_mels)
        for call in ((1, FULL_FRAMES, MAX_NEW_TOKENS), (self._warm_rows, utterance, _budget(WARM_UP_S))):
            with ThreadPoolExecutor(self._workers) as executor:
                list(executor.map(decode, [call] * self._workers))

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

    def _prepare(self, index: int, request: DecodeRequest) -> Item:
        code = request.language
        if code is not None and code not in self.languages:
            # CTranslate2 would drop the unknown token in silence and decode in any language.
            raise DecodeError(f"{self.name} does not know the language {code!r}")
        among = allowed(request.languages, self.languages)
        if code is None and len(among) == 1:
            code = among[0]
        seconds = request.duration_ms / 1000
        return Item(
            index=index,
            request=request,
            mel=self._model.features(request.audio),
            prompt_tokens=len(build_prompt(self._model.any_tokenizer, request)),
            beam=self._beam_size if request.urgency is not Urgency.PARTIAL else 1,
            budget=_budget(seconds),
            language=code or "",
        )

    def _run(
        self, items: Sequence[Item], policy: ContextPolicy, *, check_drafts: bool = True
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
                answers |= dict.fromkeys(batch.indices, self._failure(error))
        return answers

    def _again(self, item: Item, policy: ContextPolicy) -> Answer:
        """Alone, and from nothing."""
        return self._run([item], policy, check_drafts=False)[item.index]

    def _row(self, item: Item, policy: ContextPolicy) -> Row:
        frames = context_frames(item.mel.shape[1], policy, self._model.n_mels)
        return Row(item.index, frames, item.beam, item.prompt_tokens)

    def _failure(self, error: Exception) -> DecodeError:
        if isinstance(error, DecodeError):
            return error
        log.error("%s failed: %s", self.name, trace(error))
        return DecodeError(f"{self.name}: {type(error).__name__}")

    # ── One batch ────────────────────────────────────────────────────────────────

    def _decode_rows(self, items: Sequence[Item], frames: int, *, check_drafts: bool) -> dict[int, Answer]:
        """Answers by index, of rows that :func:`plan` put together."""
        encoded = self._model.encode([item.mel for item in items], frames)
        self._detect_languages(items, encoded)
        answers: dict[int, Answer] = {
            item.index: DecodeError(f"{self.name} found no language") for item in items if not item.language
        }
        if check_drafts:
            answers |= self._aligner.check_drafts(items, encoded)
        rows = [row for row, item in enumerate(items) if item.index not in answers]
        heard = self._generate(items, rows, encoded, answers)
        answers |= self._aligner.with_words(items, heard, answers, encoded)
        return answers

    def _detect_languages(self, items: Sequence[Item], encoded: Encoded) -> None:
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
        self, items: Sequence[Item], rows: Sequence[int], encoded: Encoded, answers: dict[int, Answer]
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

    def _hypothesis(self, item: Item, tokens: list[int], result: Any) -> Answer:
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


def _budget(seconds: float) -> int:
    """Tokens that so much speech can be; the guard drops what has more."""
    return min(MAX_NEW_TOKENS, round(guard.TOKENS_FREE + guard.TOKENS_PER_SECOND * seconds) + 1)
