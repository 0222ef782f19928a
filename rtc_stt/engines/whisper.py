"""Whisper on CTranslate2, called directly: the real length of the audio is decoded, not 30 s of padding.

faster-whisper loads the model and brings tokenizer, features and word alignment. Its ``transcribe`` is not
used, since it always pads to 30 s, which on short audio costs more than everything else together.
"""

from __future__ import annotations

import logging
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    get_compression_ratio,
    get_suppressed_tokens,
    merge_punctuations,
)

from rtc_stt import guard
from rtc_stt.audio import samples_to_ms
from rtc_stt.config import ContextPolicy
from rtc_stt.errors import DecodeError, ModelError
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Urgency, Word

__all__ = ["WhisperEngine", "context_frames"]

log = logging.getLogger(__name__)

FULL_FRAMES = 3_000
"""Mel frames of 30 s: all that the encoder can see."""

PADDED_EXTRA_FRAMES = 256
"""128 encoder positions: stock weights need this much silence behind the audio to know that it ended."""

PADDED_MIN_FRAMES = 500
"""5 s: with less in all, stock weights loop."""

MAX_LENGTH = 448
"""Positions of Whisper's decoder: prompt and text together."""

MAX_PROMPT = MAX_LENGTH // 2 - 1
"""Tokens that prompt and hotwords may have together."""

MAX_NEW_TOKENS = 224
"""Whisper's own limit for one window."""

# oneDNN, inside CTranslate2, keeps compiled kernels for the last 1,024 shapes it met. Utterances have as many
# lengths, so memory would grow for hours (`python -m tools.live_line soak` with 1024 here shows it),
# and nothing is gained: the time per decode is the same. It is read when the first kernel is made.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"

UNSPACED_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Whisper's tokenizer splits these at characters; in all others a word begins with white space."""

Mel = npt.NDArray[np.float32]
"""Log-mel spectrogram, shape ``(n_mels, frames)``, 100 frames a second."""


def context_frames(frames: int, policy: ContextPolicy, n_mels: int) -> int:
    """How many mel frames the encoder is given for ``frames`` real ones.

    One length is avoided: CTranslate2 (seen in 4.8) takes encoder output of exactly ``n_mels`` positions
    for a spectrogram, and encodes it again.
    """
    if policy is ContextPolicy.FULL:
        return FULL_FRAMES
    if policy is ContextPolicy.PADDED:
        frames = max(frames + PADDED_EXTRA_FRAMES, PADDED_MIN_FRAMES)
    positions = (frames + 1) // 2
    if positions == n_mels:
        frames += 2
    return min(frames, FULL_FRAMES)


@dataclass(frozen=True, slots=True)
class _Language:
    """What decoding in one language needs."""

    tokenizer: Any
    suppressed: list[int]


class WhisperEngine:
    """One model. ``decode`` may be called from ``workers`` threads at a time.

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
        if not (path / "model.bin").is_file():
            raise ModelError(f"{path} is no CTranslate2 model folder: it has no model.bin")
        try:
            self._whisper = WhisperModel(
                str(path),
                device=device,
                device_index=device_index,
                compute_type=compute_type,
                cpu_threads=cpu_threads,
                num_workers=workers,
            )
        except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, tokenizers its own
            raise ModelError(f"the model in {path} cannot be loaded: {error}") from error
        self.name = name or path.name
        self._model = self._whisper.model
        self._workers = workers
        self._beam_size = beam_size
        self._policy = context_policy
        self.languages = frozenset(
            code
            for code in self._whisper.supported_languages
            if self._whisper.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        )
        self._by_language = {code: self._prepare(code) for code in self.languages}

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(self._model.device)

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """Decode one request; see :class:`rtc_stt.decode_pool.Engine`.

        A final from short context that looks wrong is decoded again with the full 30 s.
        """
        if request.language is not None and request.language not in self._by_language:
            # CTranslate2 would drop the unknown token in silence and decode in any language.
            raise DecodeError(f"{self.name} does not know the language {request.language!r}")
        mel = self._features(request)
        hypothesis = self._decode(request, mel, self._policy)
        is_final = request.urgency is not Urgency.PARTIAL
        if is_final and self._policy is not ContextPolicy.FULL and guard.is_suspicious(hypothesis):
            log.debug("%s: doubtful on short context, decoding again in full", self.name)
            hypothesis = self._decode(request, mel, ContextPolicy.FULL)
        return hypothesis

    def warm_up(self) -> None:
        """Decode 30 s of silence on every worker.

        So the first speaker does not pay for lazy initialisation, and a machine that is too small for the
        longest decode says so at the start and not at night.
        """
        code = min(self.languages)
        prompt = [*self._by_language[code].tokenizer.sot_sequence]
        mel = np.zeros((self._n_mels, FULL_FRAMES), np.float32)

        def decode(_: int) -> None:
            encoded = self._encode(mel, ContextPolicy.FULL)
            self._generate(encoded, prompt, code, self._beam_size, MAX_NEW_TOKENS)

        with ThreadPoolExecutor(self._workers) as executor:
            list(executor.map(decode, range(self._workers)))

    @property
    def _n_mels(self) -> int:
        return int(self._model.n_mels)

    def _prepare(self, code: str) -> _Language:
        tokenizer = Tokenizer(
            self._whisper.hf_tokenizer,
            self._model.is_multilingual,
            task="transcribe",
            language=code,
        )
        suppressed = list(get_suppressed_tokens(tokenizer, [-1]))
        # Behind <|notimestamps|> a timestamp is always a mistake, and would count as confidence.
        vocabulary = self._whisper.hf_tokenizer.get_vocab_size()
        return _Language(tokenizer, suppressed + list(range(tokenizer.timestamp_begin, vocabulary)))

    def _features(self, request: DecodeRequest) -> Mel:
        mel = self._whisper.feature_extractor(request.audio)[:, :-1]
        return np.ascontiguousarray(mel[:, :FULL_FRAMES], np.float32)

    def _encode(self, mel: Mel, policy: ContextPolicy) -> ctranslate2.StorageView:
        frames = context_frames(mel.shape[1], policy, self._n_mels)
        # Padding is zero in mel space, as in training, which is not the mel of silence.
        padded = np.zeros((1, mel.shape[0], frames), np.float32)
        padded[0, :, : mel.shape[1]] = mel
        return self._model.encode(ctranslate2.StorageView.from_array(padded))

    def _decode(self, request: DecodeRequest, mel: Mel, policy: ContextPolicy) -> Hypothesis:
        encoded = self._encode(mel, policy)
        code, language_probability = request.language or "", 1.0
        if not code:
            code, language_probability = self._detect_language(encoded)
        language = self._by_language[code]
        seconds = request.duration_ms / 1000
        budget = min(MAX_NEW_TOKENS, round(guard.TOKENS_FREE + guard.TOKENS_PER_SECOND * seconds) + 1)
        prompt = self._prompt(request, language.tokenizer)
        beam = 1 if request.urgency is Urgency.PARTIAL else self._beam_size
        result = self._generate(encoded, prompt, code, beam, budget)
        tokens = result.sequences_ids[0]
        # Of no tokens there is no score. Of some, overflow in half precision would pass for full confidence.
        score = result.scores[0] if tokens else 0.0
        if not math.isfinite(score):
            raise DecodeError(f"{self.name} gave no finite score")
        text = language.tokenizer.decode(tokens).strip()
        return Hypothesis(
            request=request,
            text=text,
            language=code,
            language_probability=language_probability,
            # The score is the mean over the text tokens; with the end token there is one more.
            avg_logprob=min(0.0, score * len(tokens) / (len(tokens) + 1)),
            no_speech_prob=result.no_speech_prob,
            compression_ratio=get_compression_ratio(text) if text else 0.0,
            tokens=len(tokens),
            model=self.name,
            words=self._words(request, language.tokenizer, encoded, tokens, mel.shape[1])
            if request.word_timestamps
            else (),
        )

    def _generate(
        self, encoded: ctranslate2.StorageView, prompt: list[int], code: str, beam: int, budget: int
    ) -> Any:
        return self._model.generate(
            encoded,
            [prompt],
            beam_size=beam,
            # CTranslate2 gives half of max_length to new tokens, and counts the prompt into the whole.
            max_length=min(MAX_LENGTH, max(2 * budget, len(prompt) + budget)),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._by_language[code].suppressed,
            sampling_temperature=0.0 if beam == 1 else 1.0,
        )[0]

    def _prompt(self, request: DecodeRequest, tokenizer: Any) -> list[int]:
        before = tokenizer.encode(" " + request.prompt.strip()) if request.prompt else []
        hotwords = tokenizer.encode(" " + request.hotwords.strip()) if request.hotwords else []
        # Together they may take what Whisper gives to a prompt alone; of a prompt its end counts.
        room = max(0, MAX_PROMPT - len(hotwords))
        before = before[len(before) - min(len(before), room) :]
        prompt: list[int] = self._whisper.get_prompt(
            tokenizer, before, without_timestamps=True, hotwords=request.hotwords
        )
        return prompt

    def _detect_language(self, encoded: ctranslate2.StorageView) -> tuple[str, float]:
        if not self._model.is_multilingual:
            return "en", 1.0
        ranked = self._model.detect_language(encoded)[0]
        for token, probability in ranked:
            code = token[2:-2]
            if code in self._by_language and math.isfinite(probability):
                return code, float(probability)
        raise DecodeError(f"{self.name} found no language")

    def _words(
        self,
        request: DecodeRequest,
        tokenizer: Any,
        encoded: ctranslate2.StorageView,
        tokens: list[int],
        frames: int,
    ) -> tuple[Word, ...]:
        """Words with times from the cross-attention (dynamic time warping, as OpenAI's Whisper does)."""
        text = [token for token in tokens if token < tokenizer.eot]
        if not text:
            return ()
        [aligned] = self._whisper.find_alignment(tokenizer, [text], encoded, frames)
        merge_punctuations(aligned, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION)
        if tokenizer.language_code not in UNSPACED_LANGUAGES:
            aligned = _join_pieces(aligned)
        origin = samples_to_ms(request.audio_start)
        return tuple(
            Word(
                word=item["word"].strip(),
                start_ms=origin + round(float(item["start"]) * 1000),
                end_ms=origin + round(float(item["end"]) * 1000),
                probability=round(float(item["probability"]), 4),
            )
            for item in aligned
            if item["word"].strip()
        )


def _join_pieces(aligned: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One item a word: an apostrophe or a hyphen within a word makes two of it (``o'clock``)."""
    words: list[dict[str, Any]] = []
    for item in aligned:
        if not item["word"]:
            continue  # merged into its neighbour
        if words and not item["word"][0].isspace():
            last = words[-1]
            words[-1] = {
                **last,
                "word": last["word"] + item["word"],
                "end": item["end"],
                "probability": min(last["probability"], item["probability"]),
            }
        else:
            words.append(item)
    return words
