"""The page on bad days: lost connections, restarted servers, reloads. Its session goes on, and it says so."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Route

from tests.e2e import support
from tests.e2e.browser import Visit, Visitor, playwright, visit
from tests.e2e.support import Clip
from tools.ingest.relay import Relay
from tools.ports import free_port

__all__ = ["playwright", "visit"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

StartServer = Callable[..., support.Process]

KEEP_SENDERS = """
  window.senders = [];
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...args) {
    const transceiver = add.apply(this, args);
    window.senders.push(transceiver.sender);
    return transceiver;
  };
"""

KEEP_CHANNELS = """
  window.channels = [];
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    window.channels.push(create.apply(this, args));
    return window.channels.at(-1);
  };
"""


async def sessions(url: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(f"{url}/v1/ready") as response:
        return int((await response.json())["sessions"])


async def until_sessions(url: str, wanted: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (found := await sessions(url)) != wanted:
        assert time.monotonic() < deadline, f"{found} sessions instead of {wanted}"
        await asyncio.sleep(0.1)


def assert_nothing_is_lost(events: list[dict[str, Any]]) -> None:
    """Numbers have no gap and come once; each utterance has exactly one end, but for the one still open."""
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(1, len(numbers) + 1))
    begun = [e["utterance_id"] for e in events if e["type"] == "speech.started"]
    ended = [e["utterance_id"] for e in events if e["type"] in ("transcript.final", "utterance.dropped")]
    assert sorted(ended) == begun[: len(ended)]
    assert len(begun) - len(ended) <= 1


async def next_final(me: Visitor, seconds: float = 25) -> dict[str, Any]:
    """The first final that is whole and comes from now on."""
    count = len(await me.events("transcript.final"))
    fresh = (
        "events.filter(e => e.type === 'transcript.final').slice(wanted)"
        ".find(e => !e.lost_ms && !e.concealed_ms)"
    )
    await me.until(fresh, count, seconds)
    script = f"wanted => {{ const events = window.rtcStt.events; return {fresh}; }}"
    return await me.page.evaluate(script, count)


async def notices(me: Visitor) -> list[str]:
    return await me.find("notice").all_inner_texts()


# ── Connecting ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("trickle", ["on", "off"])
async def test_candidates_trickle_or_come_with_the_offer(
    visit: Visit, demo: str, sentences: list[Clip], trickle: str
) -> None:
    me = await visit(says=sentences[2].audio, url=f"{demo}/?trickle={trickle}")
    sent: list[tuple[str, str, dict[str, str]]] = []
    me.page.on("request", lambda r: sent.append((r.method, r.post_data or "", r.headers)))
    await me.start()
    assert (await me.utterance())["text"] == sentences[2].text
    fragments = [(body, headers) for method, body, headers in sent if method == "PATCH"]
    (offer,) = [body for method, body, _ in sent if method == "POST" and body.startswith("v=0")]
    assert bool(fragments) is (trickle == "on")
    if trickle == "off":
        assert "a=candidate" in offer
    for body, headers in fragments:
        assert headers["content-type"] == "application/trickle-ice-sdpfrag"
        assert headers["if-match"].startswith('"')
        assert "a=ice-ufrag:" in body
    await me.find("stop").click()
    await me.state("ended")


async def test_a_key_is_shown_to_nothing_but_the_token_office(
    visit: Visit, start_server: StartServer, sentences: list[Clip]
) -> None:
    key = "a-key-of-twenty-letters"
    server = start_server("demo", "--port", "0", API_KEYS=key)
    me = await visit(says=sentences[2].audio, url=server.url())
    shown: list[str] = []
    me.page.on("request", lambda r: key in str(r.headers) and shown.append(r.url.rpartition(":")[2]))
    await me.find("key").fill(key)
    await me.find("key").press("Enter")
    await me.state("live")
    assert (await me.utterance())["text"] == sentences[2].text
    assert [path.partition("/")[2] for path in shown] == ["v1/tokens"]
    await me.find("stop").click()
    await me.state("ended")
    server.stop()


async def test_a_track_that_sends_nothing_for_a_while_is_no_death(
    visit: Visit, sentences: list[Clip]
) -> None:
    me = await visit(says=sentences[2].audio, script=KEEP_SENDERS)
    await me.start()
    await me.utterance()
    await me.page.evaluate("(window.track = window.senders[0].track, window.senders[0].replaceTrack(null))")
    await asyncio.sleep(6)
    assert await me.find("state").get_attribute("data-state") == "live"
    await me.page.evaluate("window.senders[0].replaceTrack(window.track)")
    await next_final(me)
    await me.until(
        "events.filter(e => e.type === 'transcript.final').at(-1).text === wanted", sentences[2].text
    )
    assert len(await me.events("session.started")) == 1
    assert not await me.events("session.resumed")
    assert await me.page.evaluate("window.senders.length") == 1
    await me.find("stop").click()
    await me.state("ended")


async def test_the_way_of_the_audio_is_told_in_words_and_numbers(visit: Visit) -> None:
    me = await visit()
    await me.start()
    await me.find("network-details").locator("summary").click()
    rows = me.find("network")
    await rows.get_by_text("kbit/s").wait_for()
    told = await rows.inner_text()
    for words in ("opus", "direct", "UDP", "0.0 %", "ms"):
        assert words in told
    assert await rows.evaluate("list => !list.closest('[aria-live], [role=status], [role=log]')")
    await me.screenshot("network")
    await me.find("stop").click()
    await me.state("ended")


# ── Leaving ────────────────────────────────────────────────────────────


async def test_a_page_that_is_closed_leaves_its_session_for_a_while(
    visit: Visit, start_server: StartServer, sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", RESUME_SECONDS="3")
    me = await visit(says=sentences[2].audio, url=server.url())
    await me.start()
    await until_sessions(server.url(), 1, 2)
    await me.page.close()
    closed = time.monotonic()
    await asyncio.sleep(1)
    assert await sessions(server.url()) == 1
    await until_sessions(server.url(), 0, 12)
    assert time.monotonic() - closed > 2
    server.stop()


async def test_a_page_that_is_loaded_again_goes_on_with_its_session(
    visit: Visit, sentences: list[Clip], demo: str
) -> None:
    me = await visit(says=sentences[2].audio)
    await me.start()
    before = await me.utterance()
    first = (await me.events("session.started"))[0]
    await me.page.reload()
    problem = me.find("problem")
    await problem.wait_for()
    assert await problem.get_attribute("data-problem-id") == "session-waits"
    assert before["text"] in await me.find("transcript").inner_text(), "what was written is there again"
    assert await me.find("state").get_attribute("data-state") == "idle", "the microphone waits for a click"
    await me.screenshot("session-waits")
    await me.find("problem-action").click()
    await me.state("live")
    await me.until("events.some(e => e.type === 'session.resumed')")
    resumed = (await me.events("session.resumed"))[0]
    assert resumed["session_id"] == first["session_id"]
    assert resumed["gap_ms"] > 0
    assert any("of audio are missing here" in notice for notice in await notices(me))
    await next_final(me)
    assert before["text"] in await me.find("transcript").inner_text()
    numbers = [event["seq"] for event in await me.events()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await me.find("stop").click()
    await me.state("ended")
    await me.page.reload()
    await me.find("start").wait_for()
    assert not await problem.is_visible(), "a session that was stopped does not wait"


# ── Lost and found ────────────────────────────────────────────────────────────


async def test_a_server_that_dies_is_waited_for_and_a_new_session_is_told(
    visit: Visit, start_server: StartServer, sentences: list[Clip]
) -> None:
    arguments = ("demo", "--port", str(free_port()))
    server = start_server(*arguments)
    me = await visit(says=sentences[2].audio, url=server.url())
    await me.start()
    text = (await me.utterance())["text"]
    server.kill()
    await me.state("reconnecting", seconds=40)
    assert await me.find("state").get_attribute("role") == "status", "screen readers hear it, politely"
    await me.page.get_by_text("Reconnecting, no answer yet").wait_for(timeout=30_000)
    assert await me.find("away").is_visible()
    assert await me.find("stop").inner_text() == "Stop trying"
    assert await me.page.evaluate("window.rtcStt.state.microphone"), "the microphone stays open"
    assert text in await me.find("transcript").inner_text(), "what was written is kept"
    await me.screenshot("reconnecting")

    again = start_server(*arguments)
    again.url()
    await me.state("live", seconds=30)
    assert not await me.find("away").is_visible()
    await me.until("events.filter(e => e.type === 'session.started').length === 2")
    assert [n for n in await notices(me) if "a new one begins here" in n]
    await next_final(me)
    await me.find("stop").click()
    await me.state("ended")
    me.complaints.clear()  # the browser itself notes each request that the dead server did not answer
    again.stop()


async def test_a_restarted_server_is_come_back_to(
    visit: Visit, start_server: StartServer, sentences: list[Clip]
) -> None:
    arguments = ("demo", "--port", str(free_port()))
    server = start_server(*arguments)
    me = await visit(says=sentences[2].audio, url=server.url())
    await me.start()
    await me.utterance()
    server.stop()
    await me.state("reconnecting")
    assert (await me.events("session.ended"))[0]["reason"] == "drained"
    again = start_server(*arguments)
    again.url()
    await me.state("live", seconds=30)
    await next_final(me)
    assert_nothing_is_lost(await since_the_last_start(me))
    await me.find("stop").click()
    await me.state("ended")
    me.complaints.clear()
    again.stop()


async def since_the_last_start(me: Visitor) -> list[dict[str, Any]]:
    events = await me.events()
    starts = [index for index, event in enumerate(events) if event["type"] == "session.started"]
    return events[starts[-1] :]


async def test_trying_can_be_stopped(visit: Visit, start_server: StartServer, sentences: list[Clip]) -> None:
    server = start_server("demo", "--port", "0")
    me = await visit(url=server.url())
    await me.start()
    server.kill()
    await me.state("reconnecting", seconds=40)
    await me.find("stop").click()
    await me.state("ended", seconds=2)
    assert not await me.page.evaluate("window.rtcStt.state.microphone")
    asked: list[str] = []
    me.page.on("request", lambda request: asked.append(request.method))
    await asyncio.sleep(1.5)
    assert not asked, "nothing is tried any more"
    me.complaints.clear()


async def test_a_server_that_stands_still_for_a_while_loses_no_final(
    visit: Visit, start_server: StartServer, sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0")
    me = await visit(says=sentences[2].audio, url=server.url())
    await me.start()
    await me.utterance()
    server.process.send_signal(signal.SIGSTOP)
    await me.state("reconnecting", seconds=25)
    await asyncio.sleep(4)
    server.process.send_signal(signal.SIGCONT)
    await me.state("live", seconds=20)
    await next_final(me)
    assert_nothing_is_lost(await me.events())
    assert len(await me.events("session.started")) == 1
    await me.find("stop").click()
    await me.state("ended")
    me.complaints.clear()  # requests that had no answer in time
    server.stop()


async def test_a_connection_that_breaks_in_mid_sentence_is_back_at_once(
    visit: Visit, sentences: list[Clip]
) -> None:
    me = await visit(says=sentences[0].audio, script=KEEP_CHANNELS)
    await me.start()
    await me.utterance()
    begun = len(await me.events("speech.started"))
    await me.until(
        "events.filter(e => e.type === 'speech.started').length > wanted && "
        "events.at(-1).type === 'transcript.partial'",
        begun,
    )
    await me.page.evaluate("window.channels.at(-1).close()")
    await me.until("events.some(e => e.type === 'session.resumed')", seconds=5)
    assert (await me.events("session.resumed"))[0]["gap_ms"] < 3000
    await me.state("live")
    await next_final(me)
    assert_nothing_is_lost(await me.events())
    assert len(await me.events("session.started")) == 1
    assert not await me.events("error")
    await me.find("stop").click()
    await me.state("ended")


async def test_a_final_over_a_hole_is_marked_for_eyes_and_ears(visit: Visit) -> None:
    me = await visit(script=KEEP_CHANNELS)
    await me.start()
    holed = {
        "type": "transcript.final",
        "utterance_id": 999,
        "text": "Set for Sunday.",
        "language": "en",
        "language_probability": 1,
        "confidence": 0.9,
        "model": "demo-tiny",
        "lost_ms": 400,
        "concealed_ms": 160,
    }
    script = "e => window.channels[0].dispatchEvent(new MessageEvent('message', {data: JSON.stringify(e)}))"
    await me.page.evaluate(script, holed)
    for place in (me.page.locator('[data-utterance-id="999"]'), me.find("announcer")):
        await place.get_by_text("Parts of this were not heard: 0.4 s missing and 0.2 s filled in").wait_for()
    assert "0.4 s" in str(await me.find("network").text_content())
    await me.screenshot("parts-not-heard")
    await me.find("stop").click()
    await me.state("ended")


class Network:
    """UDP between the page and the server goes through relays that can swallow it; HTTP is left alone."""

    def __init__(self) -> None:
        self._relays = contextlib.AsyncExitStack()
        self._all: list[Relay] = []
        self._dead = False

    async def reroute(self, route: Route) -> None:
        """``POST /whip``: each connection gets a relay of its own."""
        request = route.request
        if request.method != "POST" or not request.post_data:
            return await route.continue_()
        relay = await self._relays.enter_async_context(Relay())
        relay.black_hole(self._dead)
        self._all.append(relay)
        response = await route.fetch(post_data=relay.offer(request.post_data))
        body = await response.text()
        return await route.fulfill(
            response=response, body=relay.answer(body) if response.status == 201 else body
        )

    def black_hole(self, on: bool) -> None:
        self._dead = on
        for relay in self._all:
            relay.black_hole(on)

    async def aclose(self) -> None:
        await self._relays.aclose()


async def test_a_minute_in_a_black_hole_loses_no_final(
    visit: Visit, demo: str, sentences: list[Clip]
) -> None:
    network = Network()
    # All candidates are in the offer, so that none leads around the relay.
    me = await visit(says=sentences[0].audio, url=f"{demo}/?trickle=off")
    await me.page.route("**/whip", network.reroute)
    await me.start()
    first = await me.utterance()
    assert first["text"] == sentences[0].text
    begun = len(await me.events("speech.started"))
    await me.until(  # in the middle of speech: its final is told while nobody hears it
        "events.filter(e => e.type === 'speech.started').length > wanted && "
        "events.at(-1).type === 'transcript.partial'",
        begun,
    )
    network.black_hole(True)
    await me.state("reconnecting", seconds=20)
    await asyncio.sleep(58)
    network.black_hole(False)
    await me.state("live", seconds=30)
    await me.until("events.some(e => e.type === 'session.resumed')")
    heard_again = (
        "events.slice(events.findLastIndex(e => e.type === 'session.resumed'))"
        ".some(e => e.type === 'transcript.final' && e.text === wanted)"
    )
    await me.until(heard_again, sentences[0].text, seconds=25)
    events = await me.events()
    assert_nothing_is_lost(events)
    assert len(await me.events("session.started")) == 1, "it is the same session"
    resumed = await me.events("session.resumed")
    assert resumed
    assert sum(event["gap_ms"] for event in resumed) > 25_000
    assert [n for n in await notices(me) if "of audio are missing here" in n]
    await me.screenshot("resumed")
    await me.find("stop").click()
    await me.state("ended")
    me.complaints.clear()
    await network.aclose()
