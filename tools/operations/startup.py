"""All is started in the wrong order on purpose; what a client sees meanwhile, and how long until it is well.

Nothing is started again but what is said to be. ``healed_s`` is from the moment at which the missing part is
there to the first client that has all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.server
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from rtc_stt import demo_models
from rtc_stt.engines import store
from rtc_stt.events import Decision, TranscriptFinal
from tools.operations.processes import KEY, Service, gateway_of_demo_models
from tools.operations.proxy import Proxy
from tools.operations.traffic import Asker, Spoken, Talker, recordings
from tools.ports import free_port

__all__ = ["HELP", "STORIES", "add_arguments", "marks", "measure", "tell"]

HELP = "start everything in the wrong order: what clients see, and how long until it heals by itself"

DOUBTS_ALL = {"CONF_LOGPROB_THRESHOLD": "1", "FALLBACK_TIMEOUT_MS": "1000"}
"""Every final wants the second opinion, so that the first that has it can be seen."""

SUPERVISOR_S = 2.0
"""RestartSec= of deploy/systemd."""

HEALED_AT_MOST_S = {
    "nginx, then a client, then the gateway": 20.0,
    "gateway, then its fallback": 40.0,
    "primary, then its fallback": 40.0,
    "the fallback dies and comes back": 40.0,
    "the model comes late": 40.0,
}
"""A circuit is tried again after 30 s at most, a client of ours after 8 s, a download after 16 s."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--away", type=float, default=10.0, help="seconds that what is missing is (default: 10)"
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    told = {name: asyncio.run(tell(name, options.away)) for name in STORIES}
    return {"away_s": options.away, "stories": told, "marks": marks(told)}


def marks(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Each heals in time, and no final is without its text meanwhile."""
    found = {}
    for name, story in told.items():
        most = HEALED_AT_MOST_S[name]
        found[f"{name}: healed, s"] = {
            "value": story["healed_s"],
            "at_most": most,
            "met": story["healed_s"] <= most,
        }
        silent = story["not_told"]
        found[f"{name}: nobody was told"] = {"value": silent, "at_most": 0, "met": silent == 0}
    return found


async def tell(name: str, away_s: float) -> dict[str, Any]:
    """One of the stories: what was seen, ``healed_s``, and in ``not_told`` how much was wrong unsaid."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        return await STORIES[name](Path(folder), stack, away_s)


# ── What they have in common ────────────────────────────────────────────────────────────


class Speech:
    """Somebody who speaks all the time, and the finals as they came."""

    def __init__(self, url: str) -> None:
        self.talker = Talker("websocket", url, recordings(), seed=1)
        self._until = asyncio.Event()
        self._task = asyncio.create_task(self.talker.talk(self._until))

    @property
    def finals(self) -> list[TranscriptFinal]:
        """So far."""
        return [event for event in self.talker.events if isinstance(event, TranscriptFinal)]

    async def next_final(self, is_it: Callable[[TranscriptFinal], bool], seconds: float) -> float:
        """Seconds until one that is as wanted, from now."""
        seen = len(self.finals)
        return await _until(lambda: any(is_it(final) for final in self.finals[seen:]), seconds)

    async def end(self) -> None:
        """Stop, and hear the last words."""
        self._until.set()
        await self._task


def _has_second_opinion(final: TranscriptFinal) -> bool:
    return final.route.decision in (Decision.REDECODED, Decision.VERIFIED)


def _says_it_has_none(final: TranscriptFinal) -> bool:
    return final.route.decision in (
        Decision.REDECODE_FAILED,
        Decision.REDECODE_TIMEOUT,
        Decision.REDECODE_SHED,
    )


async def _until(ready: Callable[[], bool], seconds: float) -> float:
    """Seconds until ``ready()``.

    Raises:
        TimeoutError: it was not.
    """
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        while not ready():
            await asyncio.sleep(0.02)
    return time.monotonic() - begun


def _with_fallback(folder: Path, stack: ExitStack, role: str) -> tuple[Service, Service]:
    """A service that asks a fallback about everything, and that fallback; neither is started."""
    fallback = Service(folder, "fallback", "--demo")
    environment = gateway_of_demo_models(fallback.url) | DOUBTS_ALL
    asking = Service(folder, "primary" if role == "primary" else "serve", environment=environment)
    for service in (asking, fallback):
        stack.callback(service.kill)
    return asking, fallback


# ── The stories ────────────────────────────────────────────────────────────


async def _nginx_first(folder: Path, stack: ExitStack, away_s: float) -> dict[str, Any]:
    gateway = Service(folder, "serve", environment=gateway_of_demo_models(""))
    stack.callback(gateway.kill)
    proxy = Proxy(folder, [gateway.port, free_port()])
    stack.callback(proxy.stop)
    proxy.start()
    statuses: list[int] = []

    async def ask() -> int:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.get(proxy.url + "/v1/ready") as answer,
        ):
            statuses.append(answer.status)
            return answer.status

    await _until_there(proxy.port)
    speech = Speech(proxy.url)
    begun = time.monotonic()
    while time.monotonic() - begun < away_s:
        await ask()
        await asyncio.sleep(0.2)
    gateway.start()
    await gateway.wait_ready()
    begun = time.monotonic()
    while await ask() != 200:
        await asyncio.sleep(0.02)
    answered_s = time.monotonic() - begun
    healed_s = await _until(lambda: speech.talker.sessions > 0, 60) + answered_s
    await speech.next_final(lambda final: True, 30)
    await speech.end()
    return {
        "seen_meanwhile": {str(status): statuses.count(status) for status in sorted(set(statuses))},
        "plain_requests_answered_after_s": round(answered_s, 2),
        "healed_s": round(healed_s, 2),
        "client_of_the_sdk": speech.talker.result(),
        "not_told": sum(status < 500 for status in statuses[:-1]) + (speech.talker.error is not None),
    }


async def _until_there(port: int) -> None:
    """Somebody listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def _gateway_first(folder: Path, stack: ExitStack, away_s: float) -> dict[str, Any]:
    gateway, fallback = _with_fallback(folder, stack, "gateway")
    gateway.start()
    await gateway.wait_ready()
    speech = Speech(gateway.url)
    await asyncio.sleep(away_s)
    before = list(speech.finals)
    fallback.start()
    await fallback.wait_ready()
    healed_s = await speech.next_final(_has_second_opinion, 60)
    await speech.end()
    return _degraded(before, healed_s)


async def _fallback_dies(folder: Path, stack: ExitStack, away_s: float) -> dict[str, Any]:
    gateway, fallback = _with_fallback(folder, stack, "gateway")
    for service in (fallback, gateway):
        service.start()
    for service in (fallback, gateway):
        await service.wait_ready()
    speech = Speech(gateway.url)
    await speech.next_final(_has_second_opinion, 60)
    fallback.kill()
    seen = len(speech.finals)
    noticed_s = await speech.next_final(_says_it_has_none, 60)
    await asyncio.sleep(away_s)
    meanwhile = speech.finals[seen:]
    fallback.start()
    await fallback.wait_ready()
    healed_s = await speech.next_final(_has_second_opinion, 60)
    await speech.end()
    return {"first_final_that_says_so_s": round(noticed_s, 2)} | _degraded(meanwhile, healed_s)


def _degraded(finals: list[TranscriptFinal], healed_s: float) -> dict[str, Any]:
    says_so = sum(map(_says_it_has_none, finals))
    whole = sum(map(_has_second_opinion, finals))
    return {
        "finals_meanwhile": len(finals),
        "that_say_they_lack_the_second_opinion": says_so,
        "that_have_it": whole,
        "slowest_final_ms": max((final.timing.endpoint_to_final_ms for final in finals), default=None),
        "healed_s": round(healed_s, 2),
        "not_told": len(finals) - says_so - whole + sum(not final.text for final in finals),
    }


async def _primary_first(folder: Path, stack: ExitStack, away_s: float) -> dict[str, Any]:
    primary, fallback = _with_fallback(folder, stack, "primary")
    primary.start()
    await primary.wait_ready()
    said = recordings()
    meanwhile = [await _ask(primary.url, said[0], degrade) for degrade in (False, True)]
    await asyncio.sleep(away_s)
    fallback.start()
    await fallback.wait_ready()
    begun = time.monotonic()
    while (await _ask(primary.url, said[0], degrade=False))[0] != 200:
        await asyncio.sleep(0.1)
        if time.monotonic() - begun > 60:
            raise TimeoutError
    (refused, why), (taken, degraded) = meanwhile
    return {
        "meanwhile_without_degrade": f"{refused} {why}",
        "meanwhile_with_degrade": f"{taken} {degraded}",
        "healed_s": round(time.monotonic() - begun, 2),
        "not_told": int((refused, taken, degraded) != (502, 200, "degraded")),
    }


async def _ask(url: str, spoken: Spoken, degrade: bool) -> tuple[int, str]:
    """The status, and what the answer says of itself."""
    form = aiohttp.FormData(
        {
            "response_format": "verbose_json",
            "on_fallback_failure": "degrade" if degrade else "error",
        }
    )
    form.add_field("audio", spoken.wav, filename="digits.wav")
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(url + "/v1/transcribe", data=form) as answer,
    ):
        body = await answer.json()
        if answer.status != 200:
            return answer.status, str(body["error"]["type"])
        return 200, "degraded" if body["degraded"] else "whole"


async def _late_model(folder: Path, stack: ExitStack, away_s: float) -> dict[str, Any]:
    files, home = folder / "files", folder / "home"
    home.mkdir()
    (files / "away").mkdir(parents=True)
    shutil.copytree(demo_models.FAST.path, files / "away" / "demo-tiny")
    store.make_sums(files / "away" / "demo-tiny")
    url = stack.enter_context(_web_server(files))
    environment = gateway_of_demo_models("") | {"CT2_SMALL_PATH": f"{url}/demo-tiny/", "HOME": str(home)}
    gateway = Service(folder, "serve", environment=environment)
    stack.callback(gateway.kill)
    starts, begun, there_at, exits = 0, time.monotonic(), None, list[str]()
    while True:
        gateway.start()
        starts += 1
        while gateway.is_running and " is ready on " not in gateway.log:
            if there_at is None and time.monotonic() - begun > away_s:
                (files / "away" / "demo-tiny").rename(files / "demo-tiny")
                there_at = time.monotonic()
            await asyncio.sleep(0.05)
        if gateway.is_running:
            break
        exits.append(gateway.log.strip().splitlines()[-1])
        await asyncio.sleep(SUPERVISOR_S)
    ready_at = time.monotonic()
    asker = Asker("plain", gateway.url, 5.0, recordings())
    until = asyncio.Event()
    asyncio.get_running_loop().call_later(1.0, until.set)
    await asker.ask(until)
    assert there_at is not None
    return {
        "started_by_its_supervisor": starts,
        "exits": exits,
        "healed_s": round(ready_at - there_at, 2),
        "requests_afterwards": asker.asked.result(),
        "not_told": len(asker.asked.failed) + sum("cannot be fetched" not in line for line in exits),
    }


@contextmanager
def _web_server(folder: Path) -> Iterator[str]:
    """Serves a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


STORIES: dict[str, Callable[[Path, ExitStack, float], Awaitable[dict[str, Any]]]] = {
    "nginx, then a client, then the gateway": _nginx_first,
    "gateway, then its fallback": _gateway_first,
    "primary, then its fallback": _primary_first,
    "the fallback dies and comes back": _fallback_dies,
    "the model comes late": _late_model,
}
