"""One loaded model: CTranslate2's calls on a batch of rows, and its tokenizers. Its errors end here."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from rtc_stt.audio import Samples
from rtc_stt.cuda_libraries import preload
from rtc_stt.engines.batching import FULL_FRAMES
from rtc_stt.engines.encoded import Encoded
from rtc_stt.engines.mel import LogMel, Mel
from rtc_stt.engines.prompts import MAX_LENGTH
from rtc_stt.errors import EngineBroken, ModelError
from rtc_stt.priority import begin_behind

__all__ = ["Model"]

# oneDNN, inside CTranslate2, keeps compiled kernels for the last 1,024 shapes it met. Utterances have as many
# lengths, so memory would grow for hours (`python -m tools.live_line soak` with 1024 here shows it),
# and nothing is gained: the time per decode is the same. It is read when the first kernel is made.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")

BROKEN = {
    "it is out of memory": re.compile(r"out of memory|bad.alloc", re.IGNORECASE),
    "its device failed": re.compile(r"cuda|cublas|cudnn", re.IGNORECASE),
    "it is not loaded": re.compile(r"no model replica", re.IGNORECASE),
}
"""What CTranslate2 says when not the request but the device or the model is at fault."""


class Model:
    """A CTranslate2 Whisper folder, loaded. Methods may be called from ``workers`` threads at a time.

    Every method that runs the model raises EngineBroken where the device or the model is at fault.

    Args:
        path: The folder.
        name: What errors call the model.
        how: Passed on to ``faster_whisper.WhisperModel``.

    Raises:
        ModelError: it cannot be loaded; the message says why.
    """

    def __init__(self, path: Path, name: str, **how: Any) -> None:
        if not (path / "model.bin").is_file():
            raise ModelError(f"{path} is no CTranslate2 model folder: it has no model.bin")
        self._path = path
        self._name = name
        self._how = how
        self._whisper = self._load()
        vocabulary = self._whisper.hf_tokenizer
        # Read once: a model that lost its device does not tell.
        self.device = str(self._whisper.model.device)
        """``cpu`` or ``cuda``."""
        self._log_mel = LogMel(self._whisper.feature_extractor.mel_filters)
        self.n_mels = int(self._whisper.model.n_mels)
        """Bands of the spectrogram: 80, or 128 for large-v3."""
        self.is_multilingual = bool(self._whisper.model.is_multilingual)
        self.languages = frozenset(
            code
            for code in self._whisper.supported_languages
            if vocabulary.token_to_id(f"<|{code}|>") is not None
        )
        self.tokenizers = {
            code: Tokenizer(vocabulary, self.is_multilingual, task="transcribe", language=code)
            for code in self.languages
        }
        self.any_tokenizer = self.tokenizers[min(self.languages)]
        """For what does not depend on the language."""
        # None of it depends on the language, so that rows of all languages can share a call. Behind
        # <|notimestamps|> a timestamp is always a mistake, and would count as confidence.
        self._suppressed = [
            *get_suppressed_tokens(self.any_tokenizer, [-1]),
            *range(self.any_tokenizer.timestamp_begin, vocabulary.get_vocab_size()),
        ]

    def reload(self) -> None:
        """Load the folder anew.

        Raises:
            ModelError: it cannot be loaded; until it can, the model is broken.
        """
        # Its memory is wanted; what is broken may refuse even this.
        with contextlib.suppress(RuntimeError, MemoryError):
            self._whisper.model.unload_model()
        self._whisper = self._load()

    def features(self, audio: Samples) -> Mel:
        """Log-mel spectrogram of 16 kHz audio, shape ``(n_mels, frames)``, of at most 30 s."""
        return self._log_mel(audio)[:, :FULL_FRAMES]

    def encode(self, mels: Sequence[Mel], frames: int) -> Encoded:
        """Rows padded to ``frames``, through the encoder."""
        # Padding is zero in mel space, as in training, which is not the mel of silence.
        padded = np.zeros((len(mels), self.n_mels, frames), np.float32)
        for row, mel in enumerate(mels):
            padded[row, :, : mel.shape[1]] = mel
        with self._at_fault():
            return Encoded(self._whisper.model.encode(ctranslate2.StorageView.from_array(padded)))

    def detect_language(self, encoded: Encoded, rows: Sequence[int]) -> list[list[tuple[str, float]]]:
        """Codes and probabilities for each of these rows."""
        if not self.is_multilingual:
            return [[("en", 1.0)] for _ in rows]
        with self._at_fault():
            ranked = self._whisper.model.detect_language(encoded.rows(rows))
        return [[(token[2:-2], float(probability)) for token, probability in row] for row in ranked]

    def generate(
        self, encoded: Encoded, rows: Sequence[int], prompts: list[list[int]], beam: int, budget: int
    ) -> list[Any]:
        """CTranslate2's result for each of these rows; all prompts have one length, all one ``budget``."""
        with self._at_fault():
            results: list[Any] = self._whisper.model.generate(
                encoded.rows(rows),
                prompts,
                beam_size=beam,
                # CTranslate2 gives half of max_length to new tokens, and counts the prompt into the whole.
                max_length=min(MAX_LENGTH, max(2 * budget, len(prompts[0]) + budget)),
                return_scores=True,
                return_no_speech_prob=True,
                suppress_tokens=self._suppressed,
                sampling_temperature=0.0 if beam == 1 else 1.0,
            )
        return results

    def align(
        self, encoded: Encoded, rows: Sequence[int], texts: list[list[int]], frames: list[int], language: str
    ) -> list[Any]:
        """CTranslate2's alignment for each of these rows: texts of one language, real ``frames`` of each."""
        with self._at_fault():
            results: list[Any] = self._whisper.model.align(
                encoded.rows(rows), self.tokenizers[language].sot_sequence, texts, frames
            )
        return results

    def _load(self) -> WhisperModel:
        try:
            if self._how.get("device") != "cpu":
                preload()
            if self._how.get("device") != "cpu" and ctranslate2.get_cuda_device_count():
                return WhisperModel(str(self._path), **self._how)  # its threads only feed the device
            return begin_behind(lambda: WhisperModel(str(self._path), **self._how))
        except Exception as error:  # CTranslate2 raises RuntimeError and ValueError, tokenizers its own
            raise ModelError(f"the model in {self._path} cannot be loaded: {error}") from error

    @contextlib.contextmanager
    def _at_fault(self) -> Iterator[None]:
        """Tell what the request did from what would befall the next one too."""
        try:
            yield
        except MemoryError as error:
            raise EngineBroken(f"{self._name}: it is out of memory") from error
        except RuntimeError as error:
            for why, pattern in BROKEN.items():
                if pattern.search(str(error)):
                    raise EngineBroken(f"{self._name}: {why}") from error
            raise
