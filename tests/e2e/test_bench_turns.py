"""``rtc-stt bench turns`` on the real demo, over every way in, and what Ctrl-C leaves of it.

How fast anything is says nothing here: the machine is busy. That it is heard, told and written does.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.result import Result, read
from rtc_stt.bench.turns.run import Plan, run
from rtc_stt.bench.turns.targets import make
from rtc_stt.cli.demo import demo_speech
from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

PATIENCE_S = 100.0
"""On a busy machine an import takes long."""


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shortest single turn, which the demo models get right."""
    folder = tmp_path_factory.mktemp("turns")
    scene = min(manifest.load(sets=["single"]), key=lambda scene: scene.turns[-1].end_ms)
    whole = json.loads((manifest.TURNS / "turns.json").read_text(encoding="utf-8"))
    scenes = [entry for entry in whole["scenes"] if entry["id"] == scene.id]
    (folder / "turns.json").write_text(json.dumps({**whole, "scenes": scenes}), encoding="utf-8")
    (folder / scene.file).parent.mkdir(exist_ok=True)
    shutil.copy(manifest.TURNS / scene.file, folder / scene.file)
    return folder


class Bench:
    """One run as a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir()
        self.out, self.page, self._log = folder / "out.json", folder / "page.html", folder / "log.txt"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rtc_stt", "bench", "turns", *arguments,
                 "--out", str(self.out), "--page", str(self.page)],
                cwd=support.ROOT,
                env=support.clean_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def result(self) -> Result:
        self.process.wait(PATIENCE_S)
        assert self.out.exists(), self.log
        return read(self.out)

    def until(self, told: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while told not in self.log:
            assert time.monotonic() < deadline, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.05)


@dataclass
class Runs:
    """What goes on while the other tests are at work."""

    whole: Bench
    """Over WebRTC and a network that is not the best, with a server of its own."""
    endless: Bench
    """Over a WebSocket, until somebody has had enough."""


@pytest.fixture(scope="module")
def runs(demo: str, turns: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("runs")
    network = ("--loss", "...................x", "--jitter-ms", "10")
    common = ("--turns", str(turns), "--language", "en")
    started = Runs(
        Bench(folder / "whole", "--target", "webrtc", *network, *common),
        Bench(folder / "endless", "--target", "websocket", "--url", demo, "--rounds", "50", *common),
    )
    yield started
    for bench in (started.whole, started.endless):
        if bench.process.poll() is None:
            bench.process.kill()
        bench.process.wait(10)


def assert_heard(result: Result) -> None:
    """The one turn is understood, and every figure of it is there."""
    told = result.summary["all"]
    (row,) = result.rows
    assert (row.is_timed_out, row.finals, result.failures, result.interrupted) == (False, 1, 0, False)
    assert (row.word_errors, row.heard) == (0, row.said)
    assert told["ttfs_ms"]["n"] == told["eou_ms"]["n"] == told["ttfp_ms"]["n"] == 1
    assert row.endpoint_to_final_ms is not None
    assert 0 <= row.endpoint_to_final_ms < row.ttfs_ms
    assert row.ttfs_ms > result.hangover_ms - 250, "a detector hears the last sound end somewhat earlier"
    assert row.wel_ms
    assert row.partial_lag_ms
    assert result.cold["start_ms"] > 0
    assert result.cold["connect_ms"]["n"] == 2
    assert result.target["models"] == {"fast": "demo-tiny", "accurate": "demo-medium"}
    assert len(result.timelines) == 1


@pytest.mark.parametrize("kind", ["in-process", "websocket"])
async def test_every_figure_is_there(kind: str, runs: Runs, turns: Path, demo: str) -> None:
    options = {"make_speech": demo_speech} if kind == "in-process" else {"url": demo}
    result = await run(make(kind, **options), Plan(manifest.load(turns), language="en"), lambda: None)
    assert_heard(result)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing goes on"


def test_ctrl_c_keeps_what_was_measured(runs: Runs) -> None:
    bench = runs.endless
    bench.until("2/51")  # one has warmed it, one was measured
    bench.process.send_signal(signal.SIGINT)
    result = bench.result()
    assert bench.process.returncode == 1, bench.log
    assert result.interrupted
    assert 1 <= len(result.rows) < 50
    assert any(row.heard for row in result.rows), bench.log
    assert "INTERRUPTED" in bench.log
    assert "Traceback" not in bench.log


def test_the_command_starts_a_server_measures_and_draws(runs: Runs) -> None:
    bench = runs.whole
    result = bench.result()
    assert_heard(result)
    assert result.target["server"] == "rtc-stt demo"
    assert result.condition["network"]["pattern"] == "...................x"
    assert bench.process.returncode == int(result.void), bench.log
    assert "Traceback" not in bench.log
    page = bench.page.read_text(encoding="utf-8")
    assert page.startswith("<!")
    assert "webrtc" in page
