"""Decode workers on a real Ray cluster of two nodes, put there by the command, asked by a real gateway."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.client import StreamClient
from rtc_stt.loading import DEMO_VALUES
from tests.e2e import support
from tests.e2e.support import Clip
from tools.ray_cluster.cluster import RayCluster

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(180)]

DEMO_SESSIONS = {
    name: DEMO_VALUES.entries[name][0]
    for name in ("CONF_LOGPROB_THRESHOLD", "COMMIT_AFTER_S", "SEGMENT_S", "CARRY_CONTEXT")
}
"""What sessions need where the demo models decode, wherever those are."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Two nodes, three replicas: too many for one of them."""
    with RayCluster() as cluster:
        cluster.start(nodes=1, cpus=2)
        cluster.deploy(FAST_REPLICAS="2", WORKERS_DRAIN_S="5")
        yield cluster


async def test_a_gateway_without_a_model_hears_with_them(
    cluster: RayCluster, sentences: list[Clip], start_server: Callable[..., support.Process]
) -> None:
    server = start_server(
        "serve", "--port", "0", "--engine", cluster.engine, WORKERS_KEY=cluster.key, **DEMO_SESSIONS
    )
    url = await asyncio.to_thread(server.url, 60)
    for clip in sentences[:2]:
        assert await hear(url, clip) == clip.text
    listed = {replica["tier"] for replica in cluster.listed()}
    assert listed == {"fast", "accurate"}
    await asyncio.to_thread(server.stop)


async def hear(url: str, clip: Clip) -> str:
    """The finals of what is said to a gateway."""
    audio = np.concatenate([support.silence(0.3), clip.audio, support.silence(1.0)])
    pcm = np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()
    async with asyncio.timeout(30), StreamClient(url) as live:
        reading = asyncio.create_task(read(live))
        await live.send(pcm)
        await live.stop()
        return await reading


async def read(live: StreamClient) -> str:
    return support.text_of([event async for event in live])


def test_the_status_shows_both_nodes_and_what_each_replica_has_to_do(cluster: RayCluster) -> None:
    shown = cluster.workers("status", "--json")
    told = json.loads(shown.stdout)
    assert (shown.returncode, told["ready"]) == (0, True)
    replicas = told["tiers"]["fast"]["replicas"] + told["tiers"]["accurate"]["replicas"]
    assert {replica["node"] for replica in replicas} == {"127.0.1.1", "127.0.1.2"}
    assert [replica["report"]["replica"]["calls"] for replica in replicas] == [1, 1, 1]
    table = cluster.workers("status").stdout
    assert all(replica["id"] in table for replica in replicas)
    assert "fast 2/2, accurate 1/1" in table


def test_nobody_without_the_key_learns_where_the_replicas_are(cluster: RayCluster) -> None:
    for headers in ({}, {"Authorization": "Bearer a-key-of-others-by-guess"}):
        request = urllib.request.Request(f"http://127.0.0.1:{cluster.serve_port}/replicas", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)  # noqa: S310
        refused.value.close()
        assert refused.value.code == 401


def test_the_key_is_in_nothing_that_ray_tells_or_writes(cluster: RayCluster, tmp_path: Path) -> None:
    assert cluster.key not in json.dumps(cluster.details())
    cluster.keep_logs(tmp_path)
    logs = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("replica_rtc-stt_fast" in path.name for path in logs)
    assert not [path for path in logs if cluster.key.encode() in path.read_bytes()]


def test_a_replica_that_is_killed_is_replaced_and_listed(cluster: RayCluster) -> None:
    victim = cluster.replicas("fast")[0]
    os.kill(victim.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        fast = {told["id"] for told in cluster.listed() if told["tier"] == "fast"}
        if len(fast) == 2 and victim.id not in fast:
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"it is not replaced: {cluster.listed()}")


def test_other_numbers_and_a_drained_tier_touch_no_replica_that_stays(cluster: RayCluster) -> None:
    cluster.wait_for_replicas("fast", 2)
    before = {replica.id for replica in cluster.replicas("fast")}
    drained = cluster.workers("drain", "--tier", "accurate", "--wait", "60")
    assert drained.returncode == 0, drained.stderr
    assert cluster.replicas("accurate") == []
    cluster.deploy(FAST_REPLICAS="1", ACCURATE_REPLICAS="1", WORKERS_DRAIN_S="5")
    [kept] = cluster.wait_for_replicas("fast", 1)
    assert kept.id in before
    assert len(cluster.wait_for_replicas("accurate", 1)) == 1


@pytest.mark.long
def test_a_model_that_is_not_there_is_told_by_name(cluster: RayCluster) -> None:
    done = cluster.workers(
        "deploy", "--wait", "60", CT2_SMALL_PATH="/models/none", WORKERS_HTTP_PORT=str(cluster.serve_port)
    )
    assert done.returncode == 1
    assert "/models/none" in done.stderr
    assert "no model folder" in done.stderr


def test_all_of_them_can_be_drained(cluster: RayCluster) -> None:
    drained = cluster.workers("drain", "--wait", "60")
    assert drained.returncode == 0, drained.stderr
    shown = cluster.workers("status")
    assert (shown.returncode, shown.stdout) == (1, "No decode workers are deployed there.\n")
