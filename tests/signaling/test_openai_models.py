"""``GET /v1/models``: which there are, in OpenAI's form, for who has a key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from tests.signaling.service import KEY, FakeTranscriber, Service, serving

QUEUE = {"tiers": {"fast": {"model": "small"}, "accurate": {"model": "org medium"}}}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(FakeTranscriber(), queue=lambda: QUEUE, api_keys=(KEY,)) as made:
        yield made


async def get(service: Service, path: str) -> object:
    return await service.get(path, Authorization=f"Bearer {KEY}")


async def test_models_are_listed_the_fast_one_first(service):
    answer = await get(service, "/v1/models")
    told = await answer.json()
    assert answer.status == 200
    assert told["object"] == "list"
    assert [model["id"] for model in told["data"]] == ["small", "org medium"]
    assert {(model["object"], model["owned_by"]) for model in told["data"]} == {("model", "rtc-stt")}
    assert all(abs(model["created"] - time.time()) < 60 for model in told["data"])


async def test_one_is_told_of_by_its_name(service):
    listed = await (await get(service, "/v1/models")).json()
    answer = await get(service, "/v1/models/org%20medium")
    assert await answer.json() == listed["data"][1]


async def test_both_tiers_may_have_the_same():
    same = {"tiers": {"fast": {"model": "small"}, "accurate": {"model": "small"}}}
    async with serving(FakeTranscriber(), queue=lambda: same) as service:
        assert len((await (await service.get("/v1/models")).json())["data"]) == 1


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/v1/models", "nobodys-key-at-all", 401, "unauthorized"),
        ("/v1/models/small", "nobodys-key-at-all", 401, "unauthorized"),
        ("/v1/models/large", KEY, 404, "not_found"),
    ],
)
async def test_errors_are_in_openais_form(service, path, key, status, code):
    answer = await service.get(path, Authorization=f"Bearer {key}")
    error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code", "request_id"}
