"""Webhooks, against a receiver that takes them, fails, hangs, or wants none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.errors import ConfigError
from signaling.telephony import webhook_policy, webhooks
from signaling.telephony.settings import Webhooks
from signaling.telephony.webhooks import WebhookSender
from tests.line import until
from tests.signaling.telephony.fakes import LOW, Notes, a_house, ended, utterance

RAW = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(RAW).decode()


class Receiver:
    """Checks every signature by itself, and answers as it is told, 200 where it is told nothing."""

    def __init__(self) -> None:
        self.answers: list[Callable[[], web.Response]] = []
        self.hanging = asyncio.Event()
        self.hangs = 0
        self.asked = 0
        self.at_a_time = self.most = 0
        self.taken: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.ids: list[str] = []
        self.paths: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.paths.append(request.path)
        self.at_a_time += 1
        self.most = max(self.most, self.at_a_time)
        try:
            return await self._answer(request)
        finally:
            self.at_a_time -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._check(request, body)
        if self.hangs:
            self.hangs -= 1
            await self.hanging.wait()
        if self.answers:
            return self.answers.pop(0)()
        event = json.loads(body)
        self.taken[event["data"]["call_id"]].append(event["data"])
        return web.Response()

    def _check(self, request: web.Request, body: bytes) -> None:
        post_id, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        assert "." not in post_id
        signed = f"{post_id}.{at}.".encode() + body
        digest = hmac.new(RAW, signed, hashlib.sha256).digest()
        assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert request.content_type == "application/json"
        event = json.loads(body)
        assert set(event) == {"type", "timestamp", "data"}
        assert event["type"] == event["data"]["type"]
        assert post_id == f"{event['data']['call_id']}_{event['data']['seq']}"
        self.ids.append(post_id)


@contextlib.asynccontextmanager
async def a_receiver() -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", receiver.take)
    server = TestServer(app)
    await server.start_server()
    try:
        yield receiver, str(server.make_url("/hook"))
    finally:
        receiver.hanging.set()
        await server.close()


@contextlib.asynccontextmanager
async def a_sender(url: str, **settings: Any) -> AsyncIterator[tuple[WebhookSender, Notes]]:
    notes = Notes()
    sender = WebhookSender(Webhooks(webhook_url=url, webhook_secret=SECRET, **settings), notes)
    try:
        yield sender, notes
    finally:
        await sender.aclose()
        assert not sender._tasks


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(webhook_policy, "RETRY_S", (0.02, 0.05, 0.1))


async def test_what_is_wanted_of_a_call_is_posted_in_order_and_nothing_else():
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, notes), a_house() as house:
        house.hub.subscribe(sender.hear)
        call, _ = house.begin()
        call.add_leg("caller").receive_audio(utterance(LOW))
        call.digit("caller", "1")
        call.end("hung_up")
        await ended(call)
        await until(lambda: len(receiver.taken[call.id]) == 4)
        kinds = [event["type"] for event in receiver.taken[call.id]]
        assert sorted(kinds) == ["call.ended", "call.started", "dtmf", "transcript.final"]
        assert (kinds[0], kinds[-1]) == ("call.started", "call.ended")
        seqs = [event["seq"] for event in receiver.taken[call.id]]
        assert seqs == sorted(seqs)
        (final,) = [event for event in receiver.taken[call.id] if event["type"] == "transcript.final"]
        assert final["text"] == "low"
        assert notes.told.count(("webhook", "delivered")) == 4


def posts(house: Any, calls: int, digits: int) -> list[Any]:
    """Calls that have pressed keys."""
    made = []
    for _ in range(calls):
        call, _ = house.begin()
        made.append(call)
        for number in range(digits):
            call.digit("caller", str(number))
    return made


async def test_one_that_fails_is_tried_again_in_its_place():
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, notes), a_house() as house:
        house.hub.subscribe(sender.hear)
        receiver.answers = [
            lambda: web.Response(status=500),
            lambda: web.Response(status=429, headers={"Retry-After": "0"}),
            lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
        ]
        (call,) = posts(house, 1, 3)
        await until(lambda: notes.told.count(("webhook", "delivered")) == 4)
        assert [event["seq"] for event in receiver.taken[call.id]] == [1, 2, 3, 4]
        assert receiver.ids.count(f"{call.id}_1") == 4
        assert receiver.paths == ["/hook"] * 7
        assert notes.told.count(("webhook", "failed")) == 3
        assert notes.told.count(("webhook", "delivered")) == 4


async def test_retry_after_is_obeyed():
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, _), a_house() as house:
        house.hub.subscribe(sender.hear)
        receiver.answers = [lambda: web.Response(status=503, headers={"Retry-After": "1"})]
        (call,) = posts(house, 1, 0)
        call.digit("caller", "1")
        began = asyncio.get_running_loop().time()
        await until(lambda: receiver.taken[call.id])
        assert asyncio.get_running_loop().time() - began >= 0.95


async def test_one_that_hangs_holds_up_no_other_call(monkeypatch):
    monkeypatch.setattr(webhooks, "TIMEOUT", webhooks.aiohttp.ClientTimeout(total=0.3))
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, notes), a_house() as house:
        house.hub.subscribe(sender.hear)
        receiver.hangs = 1
        first, *others = posts(house, 20, 2)
        await until(lambda: all(len(receiver.taken[call.id]) == 3 for call in others), 2.0)
        assert receiver.taken[first.id] == []
        await until(lambda: len(receiver.taken[first.id]) == 3)
        assert notes.told.count(("webhook", "failed")) == 1
        assert receiver.most <= webhook_policy.CONCURRENCY


async def test_one_that_cannot_be_delivered_is_kept(tmp_path, caplog):
    dead = tmp_path / "dead.jsonl"
    caplog.set_level(logging.DEBUG)
    async with a_house() as house:
        async with a_sender("http://127.0.0.1:9/hook", webhook_dead_letters=str(dead)) as (sender, notes):
            house.hub.subscribe(sender.hear)
            (call,) = posts(house, 1, 1)
            await until(lambda: notes.told.count(("webhook", "exhausted")) == 2)
        lines = [json.loads(line) for line in dead.read_text().splitlines()]
        assert [line["id"] for line in lines] == [f"{call.id}_1", f"{call.id}_2"]
        assert {line["result"] for line in lines} == {"exhausted"}
        assert lines[0]["attempts"] == 4
        assert lines[1]["body"]["data"]["digit"] == "0"
        for secret in (SECRET, "127.0.0.1:9", "/hook", '"digit"'):
            assert secret not in caplog.text
        assert caplog.text.count("a webhook was not taken") == 1


async def test_one_who_wants_none_gets_none():
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, notes), a_house() as house:
        house.hub.subscribe(sender.hear)
        receiver.answers = [lambda: web.Response(status=410)]
        (call,) = posts(house, 1, 3)
        await until(lambda: notes.told.count(("webhook", "off")) == 4)
        call.digit("caller", "9")
        await asyncio.sleep(0.1)
        assert receiver.asked == 1
        assert notes.told.count(("webhook", "off")) == 5


async def test_a_drain_waits_for_what_can_be_delivered():
    async with a_receiver() as (receiver, url), a_sender(url) as (sender, notes), a_house() as house:
        house.hub.subscribe(sender.hear)
        calls = posts(house, 12, 5)
        await sender.drain(5.0)
        assert all(len(receiver.taken[call.id]) == 6 for call in calls)
        assert notes.told.count(("webhook", "delivered")) == 72


async def test_and_no_longer(tmp_path):
    dead = tmp_path / "dead.jsonl"
    async with a_receiver() as (receiver, url), a_house() as house:
        async with a_sender(url, webhook_dead_letters=str(dead)) as (sender, notes):
            house.hub.subscribe(sender.hear)
            receiver.hangs = 100
            posts(house, 3, 2)
            began = asyncio.get_running_loop().time()
            await sender.drain(0.3)
            assert asyncio.get_running_loop().time() - began < 1.0
            assert notes.told.count(("webhook", "drained")) == 9
        assert len(dead.read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"webhook_url": "ftp://x"}, "WEBHOOK_URL"),
        ({"webhook_url": "http://"}, "WEBHOOK_URL"),
        ({"webhook_secret": "short"}, "WEBHOOK_SECRET"),
        ({"webhook_events": ("dtmf", "nonsense")}, "nonsense"),
    ],
)
def test_wrong_settings_are_told_at_the_start(settings, words):
    good = {"webhook_url": "http://localhost/", "webhook_secret": SECRET}
    with pytest.raises(ConfigError, match=words):
        WebhookSender(Webhooks(**(good | settings)), Notes())
