"""Opus by libopus itself: straight to 16 kHz mono, with forward error correction and concealment.

The system's library is preferred; PyAV's wheel carries one too, which serves where the system has none.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from signaling.codecs import opus_packet

__all__ = ["Library", "OpusDecoder", "load"]

log = logging.getLogger(__name__)

_MAX_SAMPLES = SAMPLE_RATE * 120 // 1000
"""Of one call: 120 ms, the longest packet."""

_GRAIN = SAMPLE_RATE // 400
"""Concealment is asked for in units of 2.5 ms."""

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


@dataclass(frozen=True, slots=True)
class Library:
    """A libopus that can be called."""

    version: str
    origin: str
    calls: Any


@functools.cache
def load() -> Library | None:
    """The system's libopus, else PyAV's; None without either."""
    candidates = [("system", name) for name in ("libopus.so.0", "libopus.0.dylib", "opus.dll")]
    if spec := importlib.util.find_spec("av"):
        root = Path(spec.origin or "").parent
        for folder in (root.parent / "av.libs", root / ".dylibs"):
            candidates += [("PyAV's wheel", str(path)) for path in sorted(folder.glob("*opus*"))]
    for origin, name in candidates:
        try:
            return _declare(origin, name)
        except (OSError, AttributeError):
            continue
    return None


def _declare(origin: str, name: str) -> Library:
    # PyDLL keeps the interpreter's lock: a decode takes 50 µs, to get the lock back may take 5 ms.
    calls = ctypes.PyDLL(name)
    calls.opus_get_version_string.restype = ctypes.c_char_p
    calls.opus_decoder_create.argtypes = [ctypes.c_int32, _INT, ctypes.POINTER(_INT)]
    calls.opus_decoder_create.restype = _POINTER
    calls.opus_decoder_destroy.argtypes = [_POINTER]
    calls.opus_decoder_destroy.restype = None
    calls.opus_decode_float.argtypes = [_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, _INT, _INT]
    calls.opus_decode_float.restype = _INT
    return Library(calls.opus_get_version_string().decode(), origin, calls)


class OpusDecoder:
    """See :class:`signaling.codecs.Decoder`. Stereo becomes mono in the library.

    Raises:
        MemoryError: there is none for a decoder.
    """

    clock_rate = 48_000
    joins = False
    """See :class:`signaling.codecs.Decoder`."""

    def __init__(self, library: Library) -> None:
        self._state: Any = None
        self._calls = library.calls
        error = _INT()
        self._state = self._calls.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        if not self._state or error.value:
            raise MemoryError("libopus cannot make a decoder")
        self._buffer = np.empty(_MAX_SAMPLES, np.float32)
        self._address = self._buffer.ctypes.data

    def __del__(self) -> None:
        if self._state:
            self._calls.opus_decoder_destroy(self._state)

    def duration(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`."""
        return opus_packet.duration(payload)

    def recoverable(self, payload: bytes) -> int:
        """See :class:`signaling.codecs.Decoder`."""
        return opus_packet.recoverable(payload)

    def decode(self, payload: bytes) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`."""
        return self._run(payload, _MAX_SAMPLES, fec=0) if payload else None

    def recover(self, payload: bytes, samples: int) -> Samples | None:
        """See :class:`signaling.codecs.Decoder`."""
        return self._run(payload, samples, fec=1)

    def conceal(self, samples: int) -> Samples:
        """See :class:`signaling.codecs.Decoder`."""
        pieces: list[Samples] = []
        left = samples
        while left > 0:
            size = min(_MAX_SAMPLES, -(-left // _GRAIN) * _GRAIN)
            piece = self._run(None, size, fec=0)
            pieces.append(np.zeros(size, np.float32) if piece is None else piece)
            left -= size
        return np.concatenate(pieces)[:samples] if pieces else np.empty(0, np.float32)

    def _run(self, payload: bytes | None, samples: int, *, fec: int) -> Samples | None:
        size = len(payload) if payload else 0
        count = self._calls.opus_decode_float(self._state, payload, size, self._address, samples, fec)
        return self._buffer[:count].clip(-1.0, 1.0) if count > 0 else None
