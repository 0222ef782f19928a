"""``GET /v1/usage``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtc_stt.errors import ConfigError
from signaling.app import create_app
from signaling.auth import OPEN
from signaling.key_file import name_of_digest
from signaling.keys import GATE
from signaling.page import About
from signaling.settings import Access, Server, WebRtc
from signaling.usage import date_of, day_of
from tests.signaling.front import KEY, OTHER_KEY, FakeHost, Gateway, error_of, start

HEADERS = {"Authorization": f"Bearer {KEY}"}


def key_id(gateway: Gateway, key: str = KEY) -> str:
    return gate(gateway).authority.identify(f"Bearer {key}").key_id


def gate(gateway: Gateway) -> Any:
    app = gateway.client.app
    assert app
    return app[GATE]


async def test_a_key_learns_what_it_has_used_and_nothing_of_others() -> None:
    gateway = await start(api_keys=(KEY, OTHER_KEY), access={"daily_audio_seconds": 3600})
    usage, now = gate(gateway).usage, time.time()
    usage.add(key_id(gateway), now, audio_s=12.3456, requests=2, sessions=1)
    usage.add(key_id(gateway, OTHER_KEY), now, audio_s=99)
    response = await gateway.client.get("/v1/usage?days=2", headers=HEADERS)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    today, yesterday = date_of(day_of(now)), date_of(day_of(now) - 1)
    assert await response.json() == {
        "key": name_of_digest(KEY),
        "daily_audio_seconds": 3600,
        "days": [
            {"date": yesterday, "audio_seconds": 0, "requests": 0, "sessions": 0},
            {"date": today, "audio_seconds": 12.346, "requests": 2, "sessions": 1},
        ],
    }
    await gateway.client.close()


async def test_days_are_31_unless_said_and_92_at_most() -> None:
    gateway = await start(api_keys=(KEY,))
    for query, count in (("", 31), ("?days=1", 1), ("?days=92", 92)):
        body = await (await gateway.client.get(f"/v1/usage{query}", headers=HEADERS)).json()
        assert len(body["days"]) == count
        assert body["daily_audio_seconds"] is None
    for wrong in ("0", "93", "-1", "1.5", "x", "", "%C2%B2", "9" * 400):
        response = await gateway.client.get(f"/v1/usage?days={wrong}", headers=HEADERS)
        assert response.status == 400
        assert "1 to 92" in (await error_of(response))["message"]
    await gateway.client.close()


async def test_a_token_is_not_told() -> None:
    gateway = await start(api_keys=(KEY,))
    token = (await (await gateway.client.post("/v1/tokens", headers=HEADERS)).json())["token"]
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        assert (await gateway.client.get("/v1/usage", headers=headers)).status == 401
    await gateway.client.close()


async def test_without_keys_there_is_one_book_for_all() -> None:
    gateway = await start(mode="demo")
    body = await (await gateway.client.get("/v1/usage")).json()
    assert body["key"] == OPEN
    await gateway.client.close()


async def test_reports_count_against_the_rate() -> None:
    gateway = await start(api_keys=(KEY,), access={"rate_limit_burst": 1, "rate_limit_rps": 0.5})
    assert (await gateway.client.get("/v1/usage", headers=HEADERS)).status == 200
    assert (await gateway.client.get("/v1/usage", headers=HEADERS)).status == 429
    await gateway.client.close()


async def test_what_was_used_outlives_the_server(tmp_path: Path) -> None:
    access = {"usage_db": str(tmp_path / "usage.db")}
    first = await start(api_keys=(KEY,), access=access)
    gate(first).usage.add(key_id(first), time.time(), requests=1)
    await first.client.close()
    second = await start(api_keys=(KEY,), access=access)
    body = await (await second.client.get("/v1/usage?days=2", headers=HEADERS)).json()
    assert sum(day["requests"] for day in body["days"]) == 1
    await second.client.close()


async def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
    app = create_app(FakeHost(), Server(), Access(usage_db=str(tmp_path)), WebRtc(), about)
    runner = web.AppRunner(app)
    with pytest.raises(ConfigError, match="USAGE_DB"):
        await runner.setup()
    await runner.cleanup()
