"""Whisper's architecture in plain torch, named so that it maps onto CTranslate2's WhisperSpec."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.demo_models.shapes import Shape

AUDIO_POSITIONS, TEXT_POSITIONS, MEL_BANDS = 1500, 448, 80
# Positions of the zero padding that a training step really computes; see Whisper.encode.
PAD_SAMPLES = 24
_MASKED = -1e4


def _sinusoids(length: int, width: int) -> Tensor:
    step = math.log(10000) / (width // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(width // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k = nn.Linear(width, width), nn.Linear(width, width)
        self.v, self.o = nn.Linear(width, width), nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        batch, _, width = x.shape
        return x.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        bias: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        batch, length, width = x.shape
        source = x if memory is None else memory
        q, k, v = self._split(self.q(x)), self._split(self.k(source)), self._split(self.v(source))
        if bias is not None:
            bias = bias.to(q.dtype)
        if self.training:  # written out: in bf16 on a CPU its backward beats the fused kernel's
            scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2)
            if bias is not None:
                scores = scores + bias
            if causal:
                ahead = torch.full((length, length), _MASKED, dtype=scores.dtype).triu(1)
                scores = scores + ahead
            y = scores.softmax(-1, dtype=scores.dtype) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        mixed: Tensor = self.o(y.transpose(1, 2).reshape(batch, length, width))
        return mixed


class Layer(nn.Module):
    """Pre-norm transformer layer; a decoder's (`cross`) looks at the encoder's output too."""

    def __init__(self, width: int, heads: int, *, cross: bool) -> None:
        super().__init__()
        self.cross = cross
        self.ln1, self.sa = nn.LayerNorm(width), Attention(width, heads)
        if cross:
            self.ln2, self.ca = nn.LayerNorm(width), Attention(width, heads)
        self.ln3 = nn.LayerNorm(width)
        self.f1, self.f2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        x = x + self.sa(self.ln1(x), bias=None if self.cross else bias, causal=self.cross)
        if self.cross:
            x = x + self.ca(self.ln2(x), memory, bias=bias)
        y: Tensor = x + self.f2(F.gelu(self.f1(self.ln3(x))))
        return y


class Whisper(nn.Module):
    """`ctc` and `ph` (characters, phonemes of the encoder) serve training and are not exported."""

    epos: Tensor

    def __init__(self, shape: Shape, vocabulary: int, characters: int, phonemes: int) -> None:
        super().__init__()
        width, heads = shape.width, shape.heads
        self.heads = heads
        self.c1 = nn.Conv1d(MEL_BANDS, width, 3, padding=1)
        self.c2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("epos", _sinusoids(AUDIO_POSITIONS, width) * 0.5, persistent=False)
        encoder = (Layer(width, heads, cross=False) for _ in range(shape.encoder_layers))
        self.enc, self.eln = nn.ModuleList(encoder), nn.LayerNorm(width)
        self.emb = nn.Embedding(vocabulary, width)
        self.dpos = nn.Parameter(torch.zeros(TEXT_POSITIONS, width))
        decoder = (Layer(width, heads, cross=True) for _ in range(shape.decoder_layers))
        self.dec, self.dln = nn.ModuleList(decoder), nn.LayerNorm(width)
        self.ctc, self.ph = nn.Linear(width, characters), nn.Linear(width, phonemes)
        nn.init.normal_(self.emb.weight, std=width**-0.5)
        nn.init.normal_(self.dpos, std=0.02)
        self._start_local(width, heads)

    @torch.no_grad()
    def _start_local(self, width: int, heads: int, strength: float = 1.5) -> None:
        """Start the encoder's heads as local attention.

        With sinusoidal positions let W_q pick (sin, cos) of the fastest frequencies w_i and W_k the
        same, turned by an offset o: then q·k = sum_i cos(w_i (t + o - s)) peaks at s = t + o. A
        plain transformer needs thousands of steps to find this out, which on two cores is most of
        the budget.
        """
        per_head, half = width // heads, width // 2
        count = per_head // 2
        frequency = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))[:count]
        offsets: list[list[int | None]] = [
            [-2, 2, -6, 6],
            [-4, 4, -12, None],
            [-3, 3, None, None],
            [-8, 8, None, None],
        ] * 2
        for convolution in (self.c1, self.c2):
            convolution.weight *= 1.7
        i = torch.arange(count)
        for layer, layer_offsets in zip(self.enc, offsets, strict=False):
            assert isinstance(layer, Layer)
            for head, offset in enumerate(layer_offsets[:heads]):
                if offset is None:
                    continue
                rows = slice(head * per_head, (head + 1) * per_head)
                turn_cos, turn_sin = torch.cos(frequency * offset), torch.sin(frequency * offset)
                query, key = torch.zeros(per_head, width), torch.zeros(per_head, width)
                query[2 * i, i] = 1
                query[2 * i + 1, half + i] = 1
                key[2 * i, i], key[2 * i, half + i] = turn_cos, -turn_sin
                key[2 * i + 1, half + i], key[2 * i + 1, i] = turn_cos, turn_sin
                for linear, pattern in ((layer.sa.q, query), (layer.sa.k, key)):
                    linear.weight[rows] = linear.weight[rows] * 0.3 + strength * pattern

    def _convolve(self, mel: Tensor) -> Tensor:
        return F.gelu(self.c2(F.gelu(self.c1(mel)))).transpose(1, 2)

    def encode(
        self, mel: Tensor, frames: Tensor | None = None, padded: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Features (batch, 80, frames) to (output, attention bias); without `frames` plain inference.

        For training, `frames` is the number of real frames of each row, and rows with `padded` are
        seen as if faster-whisper had padded them with 0.0 to 3,000 frames. Computing all of that
        padding would cost ten times the speech, so only PAD_SAMPLES positions of the constant tail
        are computed, and their attention logits get log(tail / PAD_SAMPLES): an unbiased stand-in
        for the whole. The other rows attend to their real frames only.
        """
        x = self._convolve(mel)
        batch, length, width = x.shape
        bias = None
        if frames is None or padded is None:
            x = x + self.epos[:length]
        else:
            tail = AUDIO_POSITIONS - length
            # The convolutions' answer to zeros, away from the edges, is the same everywhere in the
            # tail.
            constant = self._convolve(mel.new_zeros(1, MEL_BANDS, 8))[:, 2:3]
            constant = constant.expand(batch, PAD_SAMPLES, width)
            shift = torch.randint(0, max(1, tail // PAD_SAMPLES), (1,))
            where = length + torch.arange(PAD_SAMPLES) * tail // PAD_SAMPLES + shift
            x = torch.cat([x + self.epos[:length], constant + self.epos[where]], 1)
            bias = torch.zeros(batch, length + PAD_SAMPLES)
            bias[:, length:] = math.log(tail / PAD_SAMPLES)
            real = torch.arange(length + PAD_SAMPLES)[None] < ((frames + 1) // 2)[:, None]
            bias = bias.masked_fill(~(real | padded[:, None]), _MASKED)[:, None, None]
        for layer in self.enc:
            x = layer(x, bias=bias)
        return self.eln(x), bias

    def decode(
        self, tokens: Tensor, memory: Tensor, bias: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """Logits.

        `keep`: flat (batch * time) indices of the wanted positions; saves the softmax of all others.
        """
        x = self.emb(tokens) + self.dpos[: tokens.shape[1]]
        for layer in self.dec:
            x = layer(x, memory, bias)
        x = self.dln(x)
        return F.linear(x if keep is None else x.flatten(0, 1)[keep], self.emb.weight)


def save_checkpoint(path: Path, model: Whisper, shape: Shape, *, half: bool = False) -> None:
    """Weights and shape. `half`: as bf16, half the size, and what training computes in anyway."""
    weights = model.state_dict()
    if half:
        weights = {name: value.to(torch.bfloat16) for name, value in weights.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    torch.save({"shape": asdict(shape), "model": weights}, partial)
    partial.replace(path)  # a checkpoint is there as a whole or not at all


def load_checkpoint(path: Path) -> tuple[Whisper, Shape]:
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    weights = {name: value.float() for name, value in saved["model"].items()}
    shape = Shape(**saved["shape"])
    sizes = (len(weights[f"{name}.weight"]) for name in ("emb", "ctc", "ph"))
    model = Whisper(shape, *sizes)
    model.load_state_dict(weights)
    return model.eval(), shape


def _no_effect(layer: Layer) -> None:
    """Zero the output projections: the layer passes its input on."""
    outputs = [layer.sa.o, layer.f2, *([layer.ca.o] if layer.cross else [])]
    for linear in outputs:
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)


@torch.no_grad()
def reshape(model: Whisper, shape: Shape) -> Whisper:
    """The same weights in a deeper or shallower model.

    Deeper: the new layers do nothing at first, so training goes on where it was. Shallower: the
    first layers are kept, a start that is worse than the whole but far better than nothing.
    """
    sizes = (len(model.emb.weight), model.ctc.out_features, model.ph.out_features)
    other = Whisper(shape, *sizes)
    own = other.state_dict()
    own.update({name: value for name, value in model.state_dict().items() if name in own})
    other.load_state_dict(own)
    for ours, theirs in ((other.enc, model.enc), (other.dec, model.dec)):
        for layer in list(ours)[len(theirs) :]:
            assert isinstance(layer, Layer)
            _no_effect(layer)
    return other.eval()
