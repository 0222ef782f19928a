"""The client for programs without a loop, used as they use it: from threads, with nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.client import SttClientSync, SttPoolSync, Telemetry, retries
from rtc_stt.errors import BadAudio, Unreachable
from tests.client.scripted import ScriptedServer, hangs, refuses, says, serving, slowly

SAMPLES = np.zeros(1_600, np.float32)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as such are tested where they are decided."""
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.03)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """One in a thread of its own: here the caller blocks."""
    scripted, up, down = ScriptedServer(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(scripted):
            up.set()
            await down.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert up.wait(5)
    yield scripted
    loop.call_soon_threadsafe(down.set)
    thread.join()
    loop.close()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("rtc-stt")}


def test_a_script_gets_its_transcript(server: ScriptedServer, tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    told = list[Telemetry]()
    server.steps.extend([refuses(503), says()])
    with SttClientSync(server.url, key="k1", on_request=told.append) as client:
        result = client.transcribe(path, language="en", word_timestamps=True, on_fallback_failure="degrade")
        assert (result.text, result.attempts) == ("hello there", 2)
        assert client.health()
        assert client.ready()
        assert client.metrics() == {"path": "/v1/metrics"}
        assert client.usage() == {"path": "/v1/usage"}
        assert client.latency.count == 1
    assert server.asked[0].fields["language"] == "en"
    assert server.asked[0].fields["word_timestamps"] == "true"
    assert server.asked[0].fields["on_fallback_failure"] == "degrade"
    assert server.asked[0].audio == b"RIFF"
    assert [t.status for t in told] == [503, 200]
    assert not threads()


def test_errors_are_raised_where_the_call_is_made(server: ScriptedServer):
    server.steps.append(refuses(400, "bad_audio", "no audio"))
    with SttClientSync(server.url) as client:
        with pytest.raises(BadAudio, match="no audio"):
            client.transcribe(SAMPLES)
        with pytest.raises(BadAudio, match="No such file"):
            client.transcribe("/nowhere/a.wav")
    with SttClientSync("http://127.0.0.1:9", attempts=1) as client, pytest.raises(Unreachable):
        client.transcribe(SAMPLES)


def test_several_threads_share_one(server: ScriptedServer):
    server.then = slowly(0.05, says())
    with SttPoolSync([server.url, server.url]) as pool, ThreadPoolExecutor(8) as executor:
        results = list(executor.map(lambda _: pool.transcribe(SAMPLES).text, range(40)))
        assert pool.latency.count == 40
        assert [state.outstanding for state in pool.servers] == [0, 0]
        assert pool.ready()
        assert pool.metrics() == {server.url: {"path": "/v1/metrics"}}
        assert pool.usage() == {server.url: {"path": "/v1/usage"}}
    assert results == ["hello there"] * 40
    assert server.most_under_way > 1


def test_after_the_end_calls_are_refused_and_those_under_way_fail(server: ScriptedServer):
    server.then = hangs
    client = SttClientSync(server.url)
    failed = list[BaseException]()

    def call() -> None:
        try:
            client.transcribe(SAMPLES)
        except RuntimeError as error:
            failed.append(error)

    calls = [threading.Thread(target=call) for _ in range(3)]
    for thread in calls:
        thread.start()
    while server.under_way < 3:
        time.sleep(0.01)
    client.close()
    for thread in calls:
        thread.join(5)
    assert [str(error) for error in failed] == ["the client was closed"] * 3
    client.close()
    with pytest.raises(RuntimeError, match="is closed"):
        client.transcribe(SAMPLES)
    assert not threads()


def test_a_hook_cannot_wait_for_itself(server: ScriptedServer, caplog):
    for hook in (lambda told: client.ready() and None, lambda told: client.close()):
        with SttClientSync(server.url, on_request=hook) as client:
            assert client.transcribe(SAMPLES).text == "hello there"
            assert client.ready()
    assert caplog.text.count("on_request failed: RuntimeError") == 2


async def test_it_can_be_used_beside_a_loop(server: ScriptedServer):
    with SttClientSync(server.url) as client:
        assert (await asyncio.to_thread(client.transcribe, SAMPLES)).text == "hello there"


def test_a_script_that_forgets_to_close_ends(server: ScriptedServer):
    script = (
        "from rtc_stt.client import SttClientSync\n"
        f"client = SttClientSync({server.url!r})\n"
        "print(client.transcribe(b'RIFF').text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "hello there"
    assert done.stderr == ""


@pytest.mark.parametrize("how", [{"url": "gpu-1"}, {"url": "http://gpu-1", "attempts": 0}])
def test_a_mistake_starts_no_thread(how):
    with pytest.raises(ValueError, match=r"URL|positive"):
        SttClientSync(**how)
    assert not threads()
