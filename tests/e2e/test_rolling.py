"""Processes are replaced under sessions and requests: ``python -m tools.operations rolling``, in short."""

from __future__ import annotations

from typing import Any

import pytest

from tools.operations.rolling import Plan, behind_a_proxy, marks, on_one_box

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

PLAN = Plan(talkers=2, rate=1.0, warm_up_s=1.5, roles=("gateway",))


def assert_nothing_was_lost(scene: dict[str, Any], *, replaced: int) -> None:
    assert [name for name, mark in marks([scene]).items() if not mark["met"]] == [], scene
    assert len(scene["replaced"]) == replaced
    assert all(talker["words"] and talker["sessions"] > 1 for talker in scene["talkers"])
    assert all(asked["answered"] for asked in scene["requests"].values())
    assert all(came["welcomed"] for came in scene["newcomers"].values())


async def test_two_gateways_behind_nginx_are_replaced_in_turn() -> None:
    assert_nothing_was_lost(await behind_a_proxy(PLAN), replaced=2)


async def test_one_gateway_on_a_socket_of_its_own_is_started_again() -> None:
    assert_nothing_was_lost(await on_one_box(PLAN, overlap=False), replaced=1)
