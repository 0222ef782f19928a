"""Audio on its way to a server, in frames of 20 ms."""

from __future__ import annotations

import asyncio
import fractions
from collections import deque
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["Outlet", "Packer"]

FRAME = SAMPLE_RATE // 50

MAX_WAITING = 500
"""Frames that wait to be sent (ten seconds): a process that stood still sends at once what was said then, and
a server takes it (:mod:`signaling.jitter`). Beyond that the oldest are dropped: live is live."""

CATCH_UP_S = 0.005
"""Between two frames that are said again: four times as fast as they were spoken."""


class Outlet(MediaStreamTrack):
    """What one connection sends. It lives as long as the connection."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames: deque[Any] = deque(maxlen=MAX_WAITING)
        self._again: deque[Any] = deque()
        self._news = asyncio.Event()

    def put(self, frame: Any) -> None:
        """Let a frame (or an encoded packet) leave next."""
        (self._again if self._again else self._frames).append(frame)
        self._news.set()

    def say_again(self, frames: list[Any]) -> None:
        """Let these leave first, faster than they were spoken; what is put meanwhile follows likewise."""
        self._again.extend(frames)
        self._news.set()

    @property
    def is_behind(self) -> bool:
        """Whether there is still something to be said again."""
        return bool(self._again)

    @property
    def waiting(self) -> int:
        """Frames that have not left yet: aiortc takes the next when the one before is encoded."""
        return len(self._again) + len(self._frames)

    async def recv(self) -> Any:
        """Called by aiortc."""
        while not self._again and not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._news.clear()
            await self._news.wait()
        if not self._again:
            return self._frames.popleft()
        await asyncio.sleep(CATCH_UP_S)
        return self._again.popleft()

    def stop(self) -> None:
        """No more comes."""
        super().stop()
        self._news.set()


class Packer:
    """Cuts chunks of any length into frames of 20 ms."""

    def __init__(self) -> None:
        self._rest: Samples = np.empty(0, np.float32)
        self._position = 0

    def push(self, samples: Samples) -> list[Any]:
        """Take 16 kHz mono, shape ``(n,)``, in [-1, 1]; gives the frames that it completes."""
        data = np.concatenate([self._rest, samples])
        whole = len(data) - len(data) % FRAME
        self._rest = data[whole:]
        frames = []
        for start in range(0, whole, FRAME):
            pcm = np.clip(np.round(data[start : start + FRAME] * 32767), -32768, 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, fractions.Fraction(1, SAMPLE_RATE)
            frame.pts = self._position
            self._position += FRAME
            frames.append(frame)
        return frames
