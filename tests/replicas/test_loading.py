"""Waiting for the first replica, and what is said where there is none."""

from __future__ import annotations

import pytest

from rtc_stt.config_keys import Values
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.hypothesis import Tier
from rtc_stt.loading import await_replicas, make_speech, replica_tiers
from rtc_stt.replicas import roster as roster_module
from rtc_stt.replicas.server import DecodeServer
from tests.replicas.test_lane import Engine
from tools.replicas.processes import KEY, Directory


def values(place: str, **more: str) -> Values:
    given = {"ENGINE": f"ray://{place}", "WORKERS_KEY": KEY} | more
    return Values({name: (value, "test") for name, value in given.items()})


async def wait(given: Values, within_s: float = 5.0) -> list[str]:
    """What is said meanwhile."""
    tiers = replica_tiers(given)
    assert tiers
    speech = make_speech(given, tiers=tiers)
    said: list[str] = []
    try:
        await await_replicas(speech, tiers[Tier.FAST].roster, said.append, within_s)
        assert speech.pool.models == {"fast": "one", "accurate": None}
    finally:
        await speech.aclose()
    return said


def test_a_local_engine_has_none() -> None:
    assert replica_tiers(Values({})) is None


async def test_nobody_there_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtc_stt.loading.TELL_EVERY_S", 0.1)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:1 cannot be reached.*rtc-stt workers") as told:
        await wait(values("127.0.0.1:1"), 0.4)
    assert KEY not in str(told.value)


async def test_a_wrong_key_ends_the_wait_at_once() -> None:
    async with Directory("another key of the workers") as directory:
        with pytest.raises(ConfigError, match="WORKERS_KEY"):
            await wait(values(directory.place))


async def test_one_that_comes_later_is_waited_for_and_its_languages_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roster_module, "EVERY_S", 0.05)
    server = DecodeServer(
        Engine("one"), Tier.FAST, key=KEY, replica_id="one", host="127.0.0.1", calls=1, version="v"
    )
    async with Directory() as directory:
        try:
            directory.list(await server.start())
            await wait(values(directory.place))
            with pytest.raises(ConfigError, match="LANGUAGES: the model does not know xx"):
                await wait(values(directory.place, LANGUAGES="en,xx"))
        finally:
            await server.aclose()
