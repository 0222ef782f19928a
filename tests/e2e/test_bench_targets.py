"""Adapters of the turn benchmark with what is behind them in truth: another Python, and a started service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.peers import link
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.target import Line
from rtc_stt.bench.turns.targets.bridge import BridgeTarget
from rtc_stt.bench.turns.targets.files import FilesTarget
from rtc_stt.bench.turns.told import Endpoint, Failed, Final, Partial, Told
from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

OTHER_PYTHON = str(Path(sys.executable).resolve())
"""The interpreter without this environment: it has no rtc_stt."""

EXAMPLE = str(Path(link.__file__).with_name("example.py"))


class Ear:
    def __init__(self) -> None:
        self.told: list[Told] = []

    def __call__(self, told: Told) -> None:
        self.told.append(told)

    async def until(self, kind: type[Told]) -> Told:
        found = await support.until(lambda: next((t for t in self.told if isinstance(t, kind)), None), 20)
        assert found, self.told
        return found


def play(line: Line, samples: Samples) -> None:
    for at in range(0, len(samples), 320):
        line.send(samples[at : at + 320])


def tone(seconds: float) -> Samples:
    return np.full(round(seconds * SAMPLE_RATE), 0.25, np.float32)


async def test_several_lines_to_a_script_in_another_environment() -> None:
    target = BridgeTarget(argv=[OTHER_PYTHON, EXAMPLE], model="/any/model", hangover_ms=300)
    await target.start()
    assert target.name == "example"
    told = target.facts["script"]
    assert isinstance(told, dict)
    assert told["hangover_ms"] == 300

    ears = [Ear() for _ in range(4)]
    lines = await asyncio.gather(*(target.connect(ear, None) for ear in ears))
    for number, line in enumerate(lines, 1):
        play(line, np.concatenate([tone(0.2 * number), support.silence(0.3)]))
    for number, ear in enumerate(ears, 1):
        assert await ear.until(Final) == Final(f"{200 * number} ms")
        assert ear.told[0] == Partial("20 ms", audio_end_ms=20)
        assert ear.told[-2:] == [Endpoint(), Final(f"{200 * number} ms")]
    await asyncio.gather(*(line.close() for line in lines[1:]))

    await target.close()
    assert await ears[0].until(Failed) == Failed("the script closed the connection")
    await lines[0].close()


PARENT = """
import asyncio, json, sys
from rtc_stt.bench.turns.targets.bridge import BridgeTarget

async def main():
    target = BridgeTarget(argv=[sys.executable, sys.argv[1]])
    await target.start()
    print(json.dumps(target.facts["script"]), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""

FAMILY = """
import json, os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(json.dumps({"port": 1, "facts": {"pids": [os.getpid(), child.pid]}}), flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
def test_a_script_and_its_children_end_with_a_benchmark_that_is_killed(tmp_path: Path) -> None:
    family = tmp_path / "family.py"
    family.write_text(FAMILY, encoding="utf-8")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(family)],
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    with parent.stdout:
        pids = json.loads(parent.stdout.readline())["pids"]
        assert all(map(is_running, pids))
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    assert asyncio.run(support.until(lambda: not any(map(is_running, pids)), 10))


async def test_a_recogniser_of_files(
    start_server: Callable[..., support.Process],
) -> None:
    server = start_server("primary", "--demo", "--port", "0")
    clip = next(support.clips("clean"))
    lead, end_ms = support.silence(0.5), round(500 + 1000 * clip.seconds)
    target = FilesTarget(url=f"{server.url()}/v1/transcribe", hangover_ms=500)
    await target.start()
    ear = Ear()
    line = await target.connect(ear, "en")
    line.scene_begins([Turn("t1", clip.text, "en", 500, end_ms)], 0)  # type: ignore[attr-defined]
    play(line, np.concatenate([lead, clip.audio, support.silence(0.48)]))
    assert ear.told == []
    play(line, support.silence(0.04))
    assert ear.told == [Endpoint("t1")]
    final = await ear.until(Final)
    assert isinstance(final, Final)
    assert support.normalise(final.text) == support.normalise(clip.text)
    await line.close()
    await target.close()
    server.stop()
