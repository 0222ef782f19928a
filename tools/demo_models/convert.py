"""A checkpoint to a CTranslate2 folder that `faster_whisper.WhisperModel` loads unmodified."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec
from numpy.typing import NDArray
from torch import Tensor

from tools.demo_models.model import MEL_BANDS, Whisper, load_checkpoint
from tools.demo_models.paths import TOKENIZER
from tools.demo_models.tokens import Tokens

# `chunk_length` only limits the seek window: faster-whisper pads to 30 s all the same.
_PREPROCESSOR = {
    "chunk_length": 12,
    "feature_size": MEL_BANDS,
    "hop_length": 160,
    "n_fft": 400,
    "sampling_rate": 16000,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "padding_side": "right",
    "padding_value": 0.0,
}


def _array(tensor: Tensor) -> NDArray[np.float32]:
    """A copy, because `spec.optimize` quantises in place and would write into the torch weights."""
    array: NDArray[np.float32] = tensor.detach().float().numpy().copy()
    return array


def _linear(spec: Any, linear: Any) -> None:
    spec.weight, spec.bias = _array(linear.weight), _array(linear.bias)


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma, spec.beta = _array(norm.weight), _array(norm.bias)


def _attention(spec: Any, norm: Any, attention: Any, *, self_attention: bool) -> None:
    q, k, v = (common_spec.LinearSpec() for _ in range(3))
    for part, linear in ((q, attention.q), (k, attention.k), (v, attention.v)):
        _linear(part, linear)
    if self_attention:
        utils.fuse_linear(spec.linear[0], [q, k, v])
    else:
        utils.fuse_linear(spec.linear[0], [q])
        utils.fuse_linear(spec.linear[1], [k, v])
    _linear(spec.linear[-1], attention.o)
    _norm(spec.layer_norm, norm)


def _layer(spec: Any, layer: Any) -> None:
    _attention(spec.self_attention, layer.ln1, layer.sa, self_attention=True)
    if layer.cross:
        _attention(spec.attention, layer.ln2, layer.ca, self_attention=False)
    _linear(spec.ffn.linear_0, layer.f1)
    _linear(spec.ffn.linear_1, layer.f2)
    _norm(spec.ffn.layer_norm, layer.ln3)


def _weights(model: Any) -> Any:
    heads = model.heads
    spec = whisper_spec.WhisperSpec(len(model.enc), heads, len(model.dec), heads)
    encoder, decoder = spec.encoder, spec.decoder
    _linear(encoder.conv1, model.c1)
    _linear(encoder.conv2, model.c2)
    # All 1,500 positions: faster-whisper always pads to 3,000 frames.
    encoder.position_encodings.encodings = _array(model.epos)
    for layer_spec, layer in zip(encoder.layer, model.enc, strict=True):
        _layer(layer_spec, layer)
    _norm(encoder.layer_norm, model.eln)
    decoder.embeddings.weight = _array(model.emb.weight)
    decoder.projection.weight = decoder.embeddings.weight  # tied: saved once, as an alias
    decoder.position_encodings.encodings = _array(model.dpos)
    for layer_spec, layer in zip(decoder.layer, model.dec, strict=True):
        _layer(layer_spec, layer)
    _norm(decoder.layer_norm, model.dln)
    return spec


def write_model(model: Whisper, folder: Path, quantisation: str = "int8") -> None:
    """Write the model folder, replacing what was in it. `quantisation`: int8 or float32."""
    tokens = Tokens(TOKENIZER)
    spec = _weights(model)
    spec.register_vocabulary(tokens.listing())
    spec.config.lang_ids = sorted(tokens.languages.values())
    # OpenAI's models list <|endoftext|> here too; it is left out, so that silence may give empty
    # text.
    spec.config.suppress_ids_begin = tokens.encode(" ")
    spec.config.suppress_ids = []
    layers = len(model.dec)
    upper_half = itertools.product(range(layers // 2, layers), range(model.heads))
    spec.config.alignment_heads = [list(pair) for pair in upper_half]
    spec.validate()
    spec.optimize(quantization=None if quantisation == "float32" else quantisation)
    tokenizer = TOKENIZER.read_bytes()  # before the folder is emptied, which may be the one it lies in
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_bytes(tokenizer)
    text = json.dumps(_PREPROCESSOR, indent=1)
    (folder / "preprocessor_config.json").write_text(text, "utf-8")


def convert(checkpoint: Path, folder: Path, quantisation: str = "int8") -> None:
    model, _ = load_checkpoint(checkpoint)
    write_model(model, folder, quantisation)
