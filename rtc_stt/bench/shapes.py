"""Models of the true Whisper shapes with random weights, made on the spot. **Cost only.**

What a decode costs does not depend on the values of the weights, so cost can be measured anywhere without a
download. What such a model says means nothing; but it has to say as much every time, or costs could not be
compared. So two things in it are not random: the position embeddings of the decoder point at the words of a
fixed text, one after the other and then at the end of text, and the embeddings of these words lie in that
direction. Every decode of any audio then gives the same ``words``, with confidence, in English; beam search
and greedy search take their full course.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtc_stt.bench import vocabulary

__all__ = ["SHAPES", "WORDS_SAID", "Shape", "default_folder", "model_folder", "write_model"]

WORDS_SAID = 20
"""Words (a token each) of one decode: those of 3 s of brisk speech, punctuation included, and more."""

MELS = 80
_POSITIONS, _AUDIO_POSITIONS = 448, 1500
_PROMPT = 4
"""Start, language, task, no timestamps: what comes before the text where there is no prompt."""

_INT8_SCALE = 3_700.0
"""Random bytes over this have the standard deviation that trained weights have, about 0.02."""

_PULL = 30.0
"""How much stronger a position embedding is than all that the layers add to it."""

_LOGIT = 25.0
"""Of the word that is to be said. All others together come to about 11, the logarithm of their number."""


@dataclass(frozen=True)
class Shape:
    """Size of a model."""

    width: int
    layers: int
    """Of the encoder, and as many of the decoder."""
    heads: int


SHAPES = {
    "tiny": Shape(384, 4, 6),
    "base": Shape(512, 6, 8),
    "small": Shape(768, 12, 12),
    "medium": Shape(1024, 24, 16),
}
"""As OpenAI published them."""


def default_folder() -> Path:
    """Where the models are kept if nothing else is said."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "rtc-stt" / "shapes"


def model_folder(folder: Path, name: str, words: int = WORDS_SAID) -> Path:
    """The CTranslate2 folder of a shape, made if it is not there yet."""
    path = folder / f"{name}-{words}-words"
    if not (path / "model.bin").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # Beside it first and then renamed: who is interrupted leaves no half model behind.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as making:
            write_model(Path(making) / "model", SHAPES[name], words)
            shutil.rmtree(path, ignore_errors=True)
            (Path(making) / "model").rename(path)
    return path


def write_model(path: Path, shape: Shape, words: int = WORDS_SAID) -> None:
    """Write a model that ``faster_whisper.WhisperModel`` loads; int8, the same at every making.

    Args:
        words: how many words it says to any audio.
    """
    assert 0 < words <= len(vocabulary.WORDS)
    made = vocabulary.tokenizer()
    spec = _Weights(shape, words, made).spec()
    languages = vocabulary.language_ids(made)
    spec.register_vocabulary(vocabulary.listing(made))
    spec.config.lang_ids = sorted(languages.values())
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary.token_id(made, "<|endoftext|>")]
    half = shape.layers // 2
    spec.config.alignment_heads = [[n, head] for n in range(half, shape.layers) for head in range(2)]
    spec.validate()
    spec.optimize()
    path.mkdir(parents=True)
    spec.save(str(path))
    made.save(str(path / "tokenizer.json"))
    features = {
        "feature_size": MELS,
        "hop_length": 160,
        "n_fft": 400,
        "sampling_rate": 16_000,
        "chunk_length": 30,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(features), encoding="utf-8")


class _Weights:
    """Fills a specification of CTranslate2."""

    def __init__(self, shape: Shape, words: int, tokenizer: Any) -> None:
        self._shape = shape
        self._random = np.random.default_rng(1)
        end = vocabulary.token_id(tokenizer, "<|endoftext|>")
        said = [vocabulary.FIRST_WORD + number for number in range(words)]
        self._said = {
            0: vocabulary.token_id(tokenizer, "<|en|>")
        }  # the language is told at the first position
        self._said |= {_PROMPT - 1 + number: token for number, token in enumerate(said)}
        self._said |= dict.fromkeys(range(_PROMPT - 1 + words, _POSITIONS), end)

    def spec(self) -> Any:
        """The whole model."""
        shape = self._shape
        from ctranslate2.specs import whisper_spec  # here, for it imports torch: seconds and memory

        spec = whisper_spec.WhisperSpec(shape.layers, shape.heads, shape.layers, shape.heads)
        encoder, decoder = spec.encoder, spec.decoder
        for conv, channels in ((encoder.conv1, MELS), (encoder.conv2, shape.width)):
            conv.weight = self._floats(shape.width, channels, 3)
            conv.bias = np.zeros(shape.width, np.float32)
        encoder.position_encodings.encodings = self._floats(_AUDIO_POSITIONS, shape.width)
        self._set_words(decoder)
        for part in (encoder, decoder):
            for layer in part.layer:
                self._set_layer(layer)
            self._set_norm(part.layer_norm)
        return spec

    def _set_words(self, decoder: Any) -> None:
        width = self._shape.width
        positions = self._floats(_POSITIONS, width)
        embeddings = self._bytes(vocabulary.SIZE, width)
        scale = self._scales(vocabulary.SIZE)
        directions: dict[int, npt.NDArray[np.int8]] = {}
        for position, token in self._said.items():
            if token not in directions:
                # Its mean is zero, so that the layer norm leaves it as it is.
                signs = np.repeat(np.array([1, -1], np.int8), width // 2)
                directions[token] = self._random.permutation(signs)
                embeddings[token] = directions[token] * 127
                scale[token] = 127 * width / _LOGIT
            positions[position] += _PULL * directions[token]
        decoder.position_encodings.encodings = positions
        for linear in (decoder.embeddings, decoder.projection):  # tied, as in Whisper
            linear.weight, linear.weight_scale = embeddings, scale

    def _set_layer(self, layer: Any) -> None:
        width = self._shape.width
        self._set_norm(layer.self_attention.layer_norm)
        self._set_linear(layer.self_attention.linear[0], 3 * width, width)
        self._set_linear(layer.self_attention.linear[1], width, width)
        if hasattr(layer, "attention"):
            self._set_norm(layer.attention.layer_norm)
            for linear, size in zip(layer.attention.linear, (width, 2 * width, width), strict=True):
                self._set_linear(linear, size, width)
        self._set_norm(layer.ffn.layer_norm)
        self._set_linear(layer.ffn.linear_0, 4 * width, width)
        self._set_linear(layer.ffn.linear_1, width, 4 * width)

    def _set_linear(self, linear: Any, rows: int, columns: int) -> None:
        linear.weight = self._bytes(rows, columns)
        linear.weight_scale = self._scales(rows)
        linear.bias = np.zeros(rows, np.float32)

    def _set_norm(self, norm: Any) -> None:
        norm.gamma = np.ones(self._shape.width, np.float32)
        norm.beta = np.zeros(self._shape.width, np.float32)

    def _bytes(self, rows: int, columns: int) -> npt.NDArray[np.int8]:
        data = np.frombuffer(self._random.bytes(rows * columns), np.int8)
        return np.maximum(data, -127).reshape(rows, columns)

    def _scales(self, rows: int) -> npt.NDArray[np.float32]:
        # No two alike: CTranslate2 stores equal arrays once, and then does not find these.
        return self._random.uniform(0.9, 1.1, rows).astype(np.float32) * np.float32(_INT8_SCALE)

    def _floats(self, *size: int) -> npt.NDArray[np.float32]:
        return self._random.standard_normal(size, np.float32) * np.float32(0.02)
