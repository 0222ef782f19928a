"""What a Prometheus answers, good or strange, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt import prometheus
from rtc_stt.errors import TargetFailed
from rtc_stt.prometheus import Prometheus


class Strange:
    """Answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: bytes = b""
        self.status = 200
        self.asked: dict[str, str] = {}
        self.authorization = ""

    def says(self, result: list[Any]) -> None:
        self.answer = json.dumps({"status": "success", "data": {"result": result}}).encode()

    async def handle(self, request: web.Request) -> web.Response:
        self.asked = {name: str(value) for name, value in (await request.post()).items()}
        self.authorization = request.headers.get("Authorization", "")
        return web.Response(body=self.answer, status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
def strange() -> Strange:
    return Strange()


@pytest.fixture
async def asked(strange: Strange) -> AsyncIterator[Prometheus]:
    app = web.Application()
    app.router.add_post("/under/api/v1/{way}", strange.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield Prometheus(http, "the canary's Prometheus", str(server.make_url("/under/")), "a-token")


async def test_a_number(strange: Strange, asked: Prometheus) -> None:
    strange.says([{"metric": {}, "value": [1_000, "2.5"]}])
    assert await asked.number("up", 1_000) == 2.5
    assert strange.asked == {"query": "up", "time": "1000.000"}
    assert strange.authorization == "Bearer a-token"


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
async def test_what_is_no_number(strange: Strange, asked: Prometheus, value: str) -> None:
    strange.says([{"metric": {}, "value": [1_000, value]}])
    assert await asked.number("up", 1_000) is None


async def test_nothing(strange: Strange, asked: Prometheus) -> None:
    strange.says([])
    assert await asked.number("up", 1_000) is None
    assert await asked.looks("up", 1_000, 3, 30) == [None] * 3


async def test_looks_are_put_where_they_belong(strange: Strange, asked: Prometheus) -> None:
    strange.says([{"metric": {}, "values": [[940, "1"], [1_000, "3"], [1_030, "4"]]}])
    assert await asked.looks("up", 1_000, 3, 30) == [1, None, 3]
    assert strange.asked["start"] == "940.000"


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (200, b"", "not answer as a Prometheus"),
        (200, b"[]", "not answer as a Prometheus"),
        (200, b"\xff\xfe", "not answer as a Prometheus"),
        (302, b"{}", "not answer as"),
        (400, b'{"status":"error","error":"parse error"}', "refuses the question: parse error"),
        (200, b'{"status":"success","data":{"result":[1,2]}}', "2 series"),
        (200, b'{"status":"success","data":{"result":[1]}}', "not answer as a Prometheus"),
        (200, b'{"status":"success","data":{"result":[{"value":[1,"x"]}]}}', "not answer as a Prometheus"),
        (200, b" " * 2_000, "more than 1000 bytes"),
    ],
)
async def test_strange_answers_are_errors(
    strange: Strange,
    asked: Prometheus,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    answer: bytes,
    says: str,
) -> None:
    monkeypatch.setattr(prometheus, "MAX_BYTES", 1_000)
    strange.status, strange.answer = status, answer
    with pytest.raises(TargetFailed, match=says):
        await asked.number("up", 1_000)
    with pytest.raises(TargetFailed, match=says):
        await asked.looks("up", 1_000, 3, 30)
