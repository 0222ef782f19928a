"""How the server fares while it is loaded: its ladder, its queue, its processor time and its memory."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import aiohttp

from rtc_stt.bench.capacity import Watch
from rtc_stt.bench.probes import Held, Look
from rtc_stt.bench.result import rss_bytes
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.instrument import Instrument
from rtc_stt.load import LOAD_WARNINGS, Step
from rtc_stt.session import Speech

__all__ = ["InProcessMeter", "Meter", "ServerMeter", "family"]

PATIENCE_S = 5.0


class Meter(Protocol):
    """Looks at a server from its side."""

    @property
    def of(self) -> str:
        """Whose CPU time and memory :meth:`held` tells."""
        ...

    async def look(self) -> Look:
        """Its state now. Never raises: where it does not say, nothing is known."""
        ...

    def held(self) -> Held | None:
        """What its processes have used and hold; None where they are not to be seen."""
        ...


class InProcessMeter(Watch):
    """Of the target in this process: it stands where ``make_speech`` stood, and sees what is made."""

    of = "server and speakers"

    def __init__(self, make_speech: MakeSpeech) -> None:
        super().__init__()
        self._make_speech = make_speech
        self._speech: Speech | None = None
        self._warnings: Counter[str] = Counter()

    def __call__(self, instrument: Instrument, changes: Mapping[str, str]) -> Speech:
        """See :class:`~rtc_stt.bench.voice.MakeSpeech`; the instrument of the target is not used."""
        self._speech = self._make_speech(self, changes)
        return self._speech

    def load_changed(self, before: Step, step: Step) -> None:
        """See :class:`~rtc_stt.instrument.Instrument`."""
        self._warnings[LOAD_WARNINGS[step][0]] += 1

    async def look(self) -> Look:
        """See :class:`Meter`."""
        step = int(self._speech.pool.step) if self._speech else None
        return Look(step, sum(self.waiting.values()), dict(self._warnings))

    def held(self) -> Held:
        """See :class:`Meter`."""
        return Held(time.process_time(), rss_bytes())


class ServerMeter:
    """Of a server by its ``/metrics``, and by its processes where they are on this machine.

    Args:
        url: of the server.
        pid: of its process, where that is ours.
    """

    of = "server"

    def __init__(self, url: str, *, key: str | None = None, pid: int | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pid = pid

    async def look(self) -> Look:
        """See :class:`Meter`."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as http,
                http.get(f"{self._url}/metrics") as response,
            ):
                return read(await response.text()) if response.status == 200 else Look()
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            return Look()

    def held(self) -> Held | None:
        """See :class:`Meter`."""
        return family(self._pid) if self._pid is not None else None


def read(metrics: str) -> Look:
    """What the text of ``/metrics`` says; of several processes the highest step."""
    steps = [float(value) for value in re.findall(r"^rtc_stt_load_step(?:\{[^}]*\})? (\S+)$", metrics, re.M)]
    waiting = sum(float(n) for n in re.findall(r"^stt_queue_depth(?:\{[^}]*\})? (\S+)$", metrics, re.M))
    warnings: Counter[str] = Counter()
    for name, count in re.findall(
        r'^rtc_stt_load_steps_total\{[^}]*step="(\w+)"[^}]*\} (\S+)$', metrics, re.M
    ):
        if name.upper() in Step.__members__:
            warnings[LOAD_WARNINGS[Step[name.upper()]][0]] += int(float(count))
    return Look(int(max(steps)) if steps else None, int(waiting), dict(warnings))


def family(pid: int) -> Held | None:
    """What a process and its children have used and hold (Linux; None where that cannot be read)."""
    held = [_one(member) for member in _members(pid)]
    known = [one for one in held if one]
    return Held(sum(one.cpu_s for one in known), sum(one.rss_bytes for one in known)) if known else None


def _members(pid: int) -> Iterator[int]:
    yield pid
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text(encoding="ascii").split()
        except OSError:  # it has ended meanwhile
            continue
        for child in children:
            yield from _members(int(child))


def _one(pid: int) -> Held | None:
    try:
        # Field 2 is the name in brackets, in which anything may be; utime and stime are fields 14 and 15.
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
        return Held((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), rss_bytes(pid))
    except (OSError, ValueError, IndexError):
        return None
