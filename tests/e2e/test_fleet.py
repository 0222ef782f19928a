"""Parts of a real fleet are killed: who speaks over a WebSocket loses nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
from typing import Any

import pytest

from tools.fleet import faults
from tools.fleet.faults import Plan, run_faults
from tools.fleet.stage import Fleet, Size

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.alone,
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

SIZE = Size(nodes=1, fast=2, accurate=0, keeps_head=False)
PLAN = Plan(speakers=4, pause_s=(1.0, 2.0), before_s=4.0, after_s=8.0, away_s=2.0, settle_s=3.0)


async def all_die(there: Fleet, plan: Plan) -> None:
    """One after the other, and none is brought back but Redis."""
    there.signal(await there.pid_of_replica(), signal.SIGKILL)
    await asyncio.sleep(plan.away_s)
    there.redis.kill()
    await asyncio.sleep(plan.away_s)
    there.redis.start()
    await asyncio.sleep(plan.away_s)
    there.gateways["a"].kill()


async def nothing_to_mend(_: Fleet) -> float:
    return 0.0


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    if not shutil.which("redis-server") or not shutil.which("nginx"):
        pytest.skip("redis-server and nginx are not here: tools/ensure_operations.sh installs them")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "FAULTS", {"gateway_killed": all_die})
        patch.setattr(Fleet, "heal", nothing_to_mend)
        found = asyncio.run(run_faults(["gateway_killed"], PLAN, SIZE))
    result: dict[str, Any] = found["faults"]["gateway_killed"]
    assert "failed" not in result, result["failed"]
    return result


def words(told: dict[str, Any], kind: str) -> dict[str, int]:
    groups = [group for group in (told["lived"], told["gateway_died"]) if group]
    return {way: sum(group["words"][way][kind] for group in groups) for way in ("websocket", "webrtc")}


def test_everybody_spoke_and_was_heard(told: dict[str, Any]) -> None:
    assert all(count >= 10 for count in words(told, "spoken").values())


def test_no_word_over_a_websocket_is_lost_or_told_twice(told: dict[str, Any]) -> None:
    assert words(told, "in_no_final")["websocket"] == 0
    assert words(told, "in_two")["websocket"] == 0


def test_all_sessions_go_on(told: dict[str, Any]) -> None:
    for group in (told["lived"], told["gateway_died"]):
        if group:
            assert group["gave_up"] == []
            assert group["never_gone_on"] == 0


def test_newcomers_are_greeted_by_who_is_left(told: dict[str, Any]) -> None:
    assert told["arrivals"]["welcomed"] > told["arrivals"]["refused"]
