"""The network of Silero VAD v6 in numpy: what its ONNX file computes, for many streams in one call.

A window with what came before it becomes four spectra; four convolutions make one vector of them, which is
the same whatever the stream remembers; an LSTM cell joins it with each memory, and gives the probability::

    window ─ rfft ─ |·| ─ conv ─ conv ─ conv ─ conv ─┬─ cell(memory 0) ─ probability
                                                     └─ cell(memory 1) ─ probability

A runtime of graphs cannot know that, and computes all of it for each memory; nor does it know that the
first convolution of that file is a Fourier transform. So this takes a quarter of its time (``python -m
tools.telephony vad``). A test holds it against the file as onnxruntime runs it.

Weights are taken from the file by their names. The file has two networks: one for 16 kHz and one for 8 kHz.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rtc_stt.vad.onnx_tensors import named_tensors

__all__ = ["MEMORY", "Floats", "Network", "load_networks"]

Floats = npt.NDArray[np.float32]

MEMORY = 128
"""Numbers in the hidden state of the cell, and in its cell state."""

FRAMES = 4
"""Spectra of a window."""

SMALL = 1 << 18
"""Multiplications up to which OpenBLAS begins no threads (its GEMM_MULTITHREAD_THRESHOLD). They would spin
between the calls, on every core. Products in slices of that take twice as long as whole ones, which are for
where it has one thread anyway."""

_BASIS = "stft.forward_basis_buffer"
_CELL = "decoder.rnn"
_OUT = "decoder.decoder.2"


def load_networks(model: bytes, *, whole: bool | None = None) -> dict[int, Network]:
    """The networks of an ONNX file, by sampling rate in Hz.

    Args:
        model: its bytes.
        whole: whether products are computed whole; None: where OpenBLAS was told to begin no threads, as the
            command line and the detector's process tell it before numpy is imported.

    Raises:
        ValueError: it is no such file, or not of these networks.
    """
    if whole is None:
        whole = os.environ.get("OPENBLAS_NUM_THREADS") == "1"
    branches: list[dict[str, Floats]] = []
    for name, tensor in named_tensors(model):
        if not branches or name in branches[-1]:
            branches.append({})
        branches[-1][name] = tensor
    try:
        networks = [Network(branch, whole=whole) for branch in branches if _BASIS in branch]
    except KeyError as error:
        raise ValueError(f"the network has no {error}") from error
    # The transform is over 16 ms at either rate.
    found = {network.size * 1000 // 16: network for network in networks}
    if not found:
        raise ValueError("there is no network in it")
    return found


class Network:
    """One of them.

    Args:
        weights: by name, as in the file.
        whole: whether products are computed whole, or in slices of :data:`SMALL`.

    Raises:
        KeyError: one is missing.
        ValueError: one is of another shape than this network's.
    """

    def __init__(self, weights: Mapping[str, Floats], *, whole: bool = False) -> None:
        self._product = np.matmul if whole else _sliced
        basis = weights[_BASIS]
        self.size = basis.shape[-1]
        """Samples in the Fourier transform."""
        self.context = self.size // 4
        """Samples of the window before that are seen again."""
        self.window = 2 * self.size
        """Samples in a window."""
        bins = self.size // 2 + 1
        self._taper = _taper(basis)
        self.full_scale = 2 / (self.size * float(np.sum(np.square(self._taper))))
        """The power of a sound is the sum of the squares of its spectrum, times this."""
        kernels = [weights[f"encoder.{n}.reparam_conv.weight"] for n in range(FRAMES)]
        for kernel, (inputs, outputs) in zip(kernels, pairwise((bins, 128, 64, 64, 128)), strict=True):
            if kernel.shape != (outputs, inputs, 3):
                raise ValueError("the network is of another shape")
        self._biases = [weights[f"encoder.{n}.reparam_conv.bias"] for n in range(FRAMES)]
        first, second, third, fourth = kernels
        self._first = _stacked(first, (0, 1, 2))
        # Of the others' three taps those that meet nothing but padding are left out.
        self._second = _stacked(second, (1, 2)), _stacked(second, (0, 1, 2))
        self._third = _stacked(third, (1, 2))
        self._fourth = _stacked(fourth, (1,))
        # Of all four gates one exponential is taken: 1 / (1 + e^-x) and tanh x = 2 / (1 + e^-2x) - 1.
        scale = np.array([-1, -1, -2, -1], np.float32)[:, None, None]
        self._input = _by_gate(weights[f"{_CELL}.weight_ih"]) * scale
        self._hidden = _by_gate(weights[f"{_CELL}.weight_hh"]) * scale
        biases = weights[f"{_CELL}.bias_ih"] + weights[f"{_CELL}.bias_hh"]
        self._gates = biases.reshape(4, 1, MEMORY) * scale
        self._out = -weights[f"{_OUT}.weight"][0, :, 0]
        self._out_bias = -weights[f"{_OUT}.bias"][0]

    def spectra(self, heard: Floats) -> Floats:
        """Magnitudes, shape ``(B, FRAMES, size / 2 + 1)``.

        Args:
            heard: context and window of ``B`` streams, shape ``(B, context + window)``.
        """
        hop = self.size // 2
        mirrored = heard[:, -2 : -2 - self.context : -1]
        padded = np.concatenate([heard, mirrored], axis=1)
        row, step = padded.strides
        # Views of what overlaps: as_strided makes the same ones, in five times the time.
        shape = (len(heard), FRAMES, self.size)
        frames: Floats = np.ndarray(shape, np.float32, padded, 0, (row, hop * step, step))
        return np.asarray(np.abs(np.fft.rfft(frames * self._taper)), np.float32)

    @np.errstate(over="ignore")  # an exponential may be infinite: then the gate is shut, as it should be
    def run(self, spectra: Floats, memories: Floats) -> tuple[Floats, Floats]:
        """One window of each of ``B`` streams, each with ``M`` memories.

        Args:
            spectra: of the windows, see :meth:`spectra`.
            memories: hidden and cell state, shape ``(2, B, M, MEMORY)``.

        Returns:
            Probabilities, shape ``(B, M)``, and the memories as they are then.
        """
        streams, count = memories.shape[1:3]
        gates = self._product(memories[0].reshape(-1, MEMORY), self._hidden)
        gates = gates.reshape(4, streams, count, MEMORY)
        seen = self._product(self._encode(spectra), self._input)
        seen += self._gates
        gates += seen[:, :, None]
        enter, forget, new, leave = _squash(gates)
        after = np.empty(memories.shape, np.float32)
        hidden, cell = after
        np.multiply(forget, memories[1], out=cell)
        _to_tanh(new)
        new *= enter
        cell += new
        np.multiply(cell, -2, out=hidden)
        _to_tanh(_squash(hidden))
        hidden *= leave
        told = np.maximum(hidden, 0) @ self._out
        told += self._out_bias
        return _squash(told), after

    def _encode(self, spectra: Floats) -> Floats:
        """What is in each window, shape ``(B, 128)``."""
        streams, _, bins = spectra.shape
        around = np.empty((streams, FRAMES, 3, bins), np.float32)  # each frame between its neighbours
        around[:, 0, 0] = around[:, -1, 2] = 0
        around[:, 1:, 0] = spectra[:, :-1]
        around[:, :, 1] = spectra
        around[:, :-1, 2] = spectra[:, 1:]
        rows = self._layer(around.reshape(streams * FRAMES, -1), self._first, self._biases[0])
        rows = rows.reshape(streams, FRAMES * 128)
        # Stride 2: the first output sees frames (–, 0, 1), the second (1, 2, 3).
        former = self._layer(rows[:, : 2 * 128], self._second[0], self._biases[1])
        latter = self._layer(rows[:, 128:], self._second[1], self._biases[1])
        rows = self._layer(np.concatenate([former, latter], axis=1), self._third, self._biases[2])
        return self._layer(rows, self._fourth, self._biases[3])

    def _layer(self, rows: Floats, weights: Floats, bias: Floats) -> Floats:
        found = self._product(rows, weights)
        found += bias
        return np.maximum(found, 0, out=found)


def _taper(basis: Floats) -> Floats:
    """The window of the transform that a basis is, shape ``(2 · bins, 1, size)``.

    Raises:
        ValueError: it is none.
    """
    size = basis.shape[-1]
    taper = np.asarray(np.sin(np.pi * np.arange(size) / size) ** 2, np.float32)
    angles = 2 * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size
    transform = np.concatenate([np.cos(angles), -np.sin(angles)]) * taper
    if basis.shape != (len(transform), 1, size) or not np.allclose(basis[:, 0], transform, atol=1e-5):
        raise ValueError("the network is of another shape")
    return taper


def _stacked(kernel: Floats, taps: Sequence[int]) -> Floats:
    return np.ascontiguousarray(np.concatenate([kernel[:, :, tap].T for tap in taps]))


def _by_gate(weights: Floats) -> Floats:
    """Of a cell, shape ``(4, inputs, MEMORY)``: each gate of all streams is then in one piece."""
    return np.ascontiguousarray(weights.reshape(4, MEMORY, -1).swapaxes(1, 2))


def _sliced(rows: Floats, weights: Floats) -> Floats:
    """``rows @ weights``, in slices of :data:`SMALL` products; ``weights`` may be several matrices."""
    several, (inputs, outputs) = weights.shape[:-2], weights.shape[-2:]
    size = max(2, SMALL // (inputs * outputs))
    whole = len(rows) - len(rows) % size
    out = np.empty((*several, len(rows), outputs), np.float32)
    if whole:
        slices = rows[:whole].reshape(-1, size, inputs)
        np.matmul(
            slices, weights[..., None, :, :], out=out[..., :whole, :].reshape(*several, -1, size, outputs)
        )
    rest = rows[whole:]
    if len(rest) == 1:  # of a vector and a matrix a BLAS thinks otherwise
        out[..., whole:, :] = (np.repeat(rest, 2, axis=0) @ weights)[..., :1, :]
    elif len(rest):
        np.matmul(rest, weights, out=out[..., whole:, :])
    return out


def _squash(x: Floats) -> Floats:
    """``1 / (1 + e^x)``, in its place."""
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


def _to_tanh(x: Floats) -> Floats:
    """``2x - 1``, in its place."""
    x *= 2
    x -= 1
    return x
