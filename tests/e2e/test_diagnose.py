"""``/diagnose`` in a real Chromium: each verdict, on a good day and on bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e import support
from tests.e2e.browser import Visit, Visitor, playwright, visit
from tests.e2e.support import Clip

__all__ = ["playwright", "visit"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

STEPS = ("server", "ready", "key", "microphone", "stun", "udp", "channel", "turn")
MAGIC_COOKIE = 0x2112A442
SEEN_FROM_OUTSIDE = ("203.0.113.7", 7007)


class StunServer(asyncio.DatagramProtocol):
    """Answers binding requests (RFC 8489 §14.2) as if there were a NAT in between."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        kind, _, _, transaction = struct.unpack("!HHI12s", data[:20])
        if kind != 0x0001:
            return
        address, port = SEEN_FROM_OUTSIDE
        mapped = struct.unpack("!I", socket.inet_aton(address))[0] ^ MAGIC_COOKIE
        attribute = struct.pack("!HHBBHI", 0x0020, 8, 0, 1, port ^ (MAGIC_COOKIE >> 16), mapped)
        header = struct.pack("!HHI12s", 0x0101, len(attribute), MAGIC_COOKIE, transaction)
        self.transport.sendto(header + attribute, addr)


@contextlib.asynccontextmanager
async def stun_server() -> Any:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    try:
        yield f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


@pytest.fixture
def nobody() -> Iterator[int]:
    """A UDP port that takes everything and answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield deaf.getsockname()[1]


async def verdicts(me: Visitor) -> dict[str, str]:
    return {step: await state_of(me, step) for step in STEPS}


async def state_of(me: Visitor, step: str) -> str:
    return str(await me.find(f"step-{step}").get_attribute("data-state"))


async def check(me: Visitor, seconds: float = 40) -> str:
    """Run it to its end; what it says in one sentence."""
    await me.find("run").click()
    done = me.page.locator('[data-testid="summary"]:is([data-state="ok"], [data-state="failed"])')
    await done.wait_for(timeout=seconds * 1000)
    return str(await done.inner_text())


async def open_diagnosis(me: Visitor) -> None:
    await me.page.goto(f"{me.url.rstrip('/')}/diagnose")
    await me.find("step-turn").wait_for()


async def test_a_good_day_is_told_step_by_step_and_can_be_copied(visit: Visit, sentences: list[Clip]) -> None:
    me = await visit(says=sentences[0].audio)
    await open_diagnosis(me)
    assert set((await verdicts(me)).values()) == {"waiting"}
    await me.page.keyboard.press("Tab")  # the key field is hidden: the first stop is the button
    assert await me.page.evaluate("document.activeElement.dataset.testid") == "run"
    said = await check(me)
    assert said == "Everything that live transcription needs works here."
    assert await verdicts(me) == dict.fromkeys(STEPS, "ok") | {"stun": "skipped", "turn": "skipped"}
    assert "your voice was heard" in await me.find("step-microphone").inner_text()
    await me.find("copy").click()
    report = await me.find("report").input_value()
    assert report.count("[ok]") == 6
    assert "[skipped] STUN" in report
    await me.screenshot("diagnose")


async def test_a_bad_day_is_told_with_what_to_do(
    visit: Visit, start_server: Callable[..., support.Process], nobody: int
) -> None:
    key = "a-key-of-twenty-letters"
    async with stun_server() as stun:
        server = start_server(
            "demo",
            "--port",
            "0",
            API_KEYS=key,
            ICE_SERVERS=stun,
            TURN_URL=f"turn:127.0.0.1:{nobody}",
            TURN_SECRET="a secret of coturn",
        )
        me = await visit(
            url=server.url(),
            microphone=False,
            viewport={"width": 360, "height": 740},
            has_touch=True,
            is_mobile=True,
        )
        await open_diagnosis(me)

        await me.find("key").fill("not-one-of-the-keys-here")
        assert "Look at: Key, Microphone" in await check(me)
        assert await me.page.evaluate("document.activeElement.id") == "key"
        assert (await verdicts(me))["udp"] == "skipped"

        await me.find("key").fill(key)
        said = await check(me)
        assert said == "Live transcription will not work yet. Look at: Microphone."
        assert await verdicts(me) == dict.fromkeys(STEPS, "ok") | {
            "microphone": "failed",
            "turn": "failed",
        }
        assert "The relay does not answer" in await me.find("step-turn").inner_text()
        assert await me.find("step-turn").locator("li").count() >= 1
        assert "allow" in await me.find("step-microphone").inner_text()
        await me.find("copy").click()
        report = await me.find("report").input_value()
        for secret in (key, SEEN_FROM_OUTSIDE[0], "127.0.0.1", server.url()):
            assert secret not in report
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await me.page.evaluate(overflow) <= 0
        await me.screenshot("diagnose-phone")
        me.complaints.clear()  # the browser notes the refused key
        server.stop()


async def test_a_server_that_is_gone_is_found_out(
    visit: Visit, start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0")
    me = await visit(says=sentences[0].audio, url=server.url())
    await open_diagnosis(me)
    server.kill()
    said = await check(me)
    assert "Server" in said
    told = await verdicts(me)
    assert told["server"] == "failed"
    assert told["microphone"] == "ok"
    assert told["udp"] == told["turn"] == "skipped"
    me.complaints.clear()


async def test_the_check_can_be_stopped_and_is_offered_where_it_helps(visit: Visit) -> None:
    me = await visit(microphone=False)
    await me.find("start").click()
    await me.state("failed")
    link = me.find("problem-diagnose")
    assert await link.is_visible()
    assert await link.get_attribute("href") == "/diagnose"
    await open_diagnosis(me)
    # In one breath: without a microphone the check is over soon, and a click after that begins it anew.
    await me.find("run").evaluate("button => { button.click(); button.click(); }")
    await me.page.get_by_text("Stopped.").wait_for()
    assert await me.find("run").inner_text() == "Check again"
