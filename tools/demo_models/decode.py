"""Greedy decoding the way the server does it, to evaluate models and to choose sample clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.demo_models.audio import Samples
from tools.demo_models.tokens import Tokens

_MOST_TOKENS = 224  # Whisper's own bound: half of its text context


@dataclass(frozen=True)
class Decoded:
    """`avg_logprob` counts the end token, as faster-whisper does; NaN where nothing came out."""

    text: str
    avg_logprob: float
    no_speech_prob: float
    language: str


class Decoder:
    """One model on one thread, int8.

    `padded` is faster-whisper's own way: features padded with 0.0 to 30 s.
    """

    def __init__(self, folder: Path, *, padded: bool = False) -> None:
        from faster_whisper import WhisperModel

        self.padded = padded
        self.model: Any = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        self.tokens = Tokens(folder / "tokenizer.json")
        # Timestamps and special tokens: a decode without timestamps may not produce them.
        self._suppressed = list(range(self.tokens.end_of_text + 1, self.tokens.size))

    def decode(self, samples: Samples, language: str | None = "en") -> Decoded:
        """`language` None: detect it."""
        return (self._padded if self.padded else self._tight)(samples, language)

    def _tight(self, samples: Samples, language: str | None) -> Decoded:
        features = self.model.feature_extractor(samples)[:, :-1]
        encoded = self.model.encode(np.ascontiguousarray(features))
        if language is None:
            language = self.model.model.detect_language(encoded)[0][0][0].strip("<|>")
        result = self.model.model.generate(
            encoded,
            [self.tokens.prompt(language)],
            beam_size=1,
            max_length=_MOST_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        ids = result.sequences_ids[0]
        logprob = result.scores[0] * len(ids) / (len(ids) + 1) if ids else float("nan")
        text = self.tokens.decode(ids).strip()
        return Decoded(text, logprob, result.no_speech_prob, language)

    def _padded(self, samples: Samples, language: str | None) -> Decoded:
        # One temperature: or the fallback sampler may answer instead. No thresholds: they drop what
        # is to be measured.
        segments, info = self.model.transcribe(
            samples,
            language=language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            no_speech_threshold=None,
            log_prob_threshold=None,
        )
        found = list(segments)
        text = "".join(segment.text for segment in found).strip()
        logprob = found[0].avg_logprob if found else float("nan")
        no_speech = found[0].no_speech_prob if found else 1.0
        return Decoded(text, logprob, no_speech, info.language)
