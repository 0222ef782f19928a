"""What is seen of a server while it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.bench.meter import InProcessMeter, ServerMeter, family, read
from rtc_stt.bench.probes import Look
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step

METRICS = """\
# HELP rtc_stt_load_step What is left out under load
# TYPE rtc_stt_load_step gauge
rtc_stt_load_step 2.0
stt_queue_depth{tier="fast"} 3.0
stt_queue_depth{tier="accurate"} 1.0
rtc_stt_load_steps_total{direction="up",step="slow_partials"} 2.0
rtc_stt_load_steps_total{direction="down",step="slow_partials"} 1.0
rtc_stt_load_steps_total{direction="up",step="few_partials"} 1.0
rtc_stt_load_steps_total{direction="up",step="one_of_tomorrow"} 1.0
rtc_stt_load_steps_created{direction="up",step="few_partials"} 1.7e+09
"""


def test_the_metrics_are_read() -> None:
    look = read(METRICS)
    assert look == Look(2, 4, {"load_partials_slow": 3, "load_partials_few": 1})
    assert not look.is_calm
    assert read("rtc_stt_load_step 0.0\n").is_calm
    assert read("") == Look()


async def test_a_server_is_asked_with_its_key() -> None:
    async def metrics(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer k":
            return web.Response(status=401)
        return web.Response(text=METRICS)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        assert (await ServerMeter(url, key="k").look()).step == 2
        assert await ServerMeter(url).look() == Look()
    assert await ServerMeter(url, key="k").look() == Look()
    assert ServerMeter(url).held() is None


def test_a_process_counts_with_its_children() -> None:
    code = (
        "import subprocess, sys, time\n"
        "end = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\n"
        "if sys.argv[1:]: subprocess.Popen([sys.executable, '-c', sys.argv[1]])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = [process.stdout.readline() for _ in range(2)]  # its own, and the child's
        held = family(process.pid)
        process.communicate()  # both end with their input
    assert ready == ["ready\n", "ready\n"]
    assert held is not None
    assert held.cpu_s >= 0.58  # each of them, less what a clock tick hides
    assert held.rss_bytes > 8 * 2**20
    assert family(process.pid) is None, "it is gone"


async def test_in_this_process_it_sees_what_is_made() -> None:
    made: list[Any] = []

    def make_speech(instrument: Instrument, changes: Mapping[str, str]) -> Any:
        made.append((instrument, changes))
        return SimpleNamespace(pool=SimpleNamespace(step=Step.SLOW_PARTIALS))

    meter = InProcessMeter(make_speech)
    assert (await meter.look()).step is None
    meter(Instrument(), {"A": "b"})
    assert made == [(meter, {"A": "b"})]
    meter.queue_changed(Tier.FAST, 3, 1)
    meter.load_changed(Step.NORMAL, Step.SLOW_PARTIALS)
    assert await meter.look() == Look(1, 3, {"load_partials_slow": 1})
    assert meter.held().rss_bytes == pytest.approx(family(os.getpid()).rss_bytes, rel=0.2)  # type: ignore[union-attr]
