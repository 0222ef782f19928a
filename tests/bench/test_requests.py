"""The load client: every answer counts, and every request without one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.bench.requests import Answer, Plan, ask, figures, picture, read, run
from rtc_stt.cli import main
from rtc_stt.errors import BadAudio, Unreachable


@pytest.fixture
def folder(tmp_path):
    for name in ("one.wav", "two.wav", "none.wav"):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(name.encode() * 2)
    (tmp_path / "notes.txt").write_text("no recording")
    return tmp_path


class Service:
    """Says of each recording its name; of what is called none that it is no audio."""

    def __init__(self):
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.fails = {}
        self.keys = set()

    def app(self):
        app = web.Application()
        app.router.add_post("/v1/transcribe", self.transcribe)
        app.router.add_get("/v1/metrics", self.metrics)
        return app

    async def metrics(self, request):
        return web.json_response({"name": "primary", "version": "1", "commit": "abc", "uptime_s": 3})

    async def transcribe(self, request):
        self.keys.add(request.headers.get("Authorization"))
        form = await request.post()
        name = form["audio"].filename
        self.asked.append(name)
        status = self.fails.get(len(self.asked))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if status == "gone":
            request.transport.abort()
        if name == "none.wav":
            status = 400
        if isinstance(status, int):
            return web.json_response({"error": {}}, status=status, headers={"X-Error-Type": "bad_audio"})
        text = "other" if status == "other" else name
        headers = {"X-Queue-Wait-ms": "3", "X-Final-Model": "tiny"}
        return web.json_response({"text": text, "duration_ms": 2_000}, headers=headers)


@pytest.fixture
def service():
    return Service()


@contextlib.asynccontextmanager
async def served(service):
    async with TestServer(service.app()) as server:
        yield str(server.make_url("")).rstrip("/")


async def loaded(service, folder, *steps, **plan):
    told = []
    async with served(service) as url:
        result = await asyncio.to_thread(
            run, Plan(url, steps=steps, seconds=0.3, clips=folder, **plan), told.append
        )
    return result


async def test_each_step_asks_with_so_many_at_a_time_and_again_once_answered(service, folder):
    result = await loaded(service, folder, 1, 3, key="a key")
    assert service.most_at_once == 3
    assert service.keys == {"Bearer a key"}
    one, three = result["steps"]
    assert one["concurrency"] == 1
    assert three["requests"] > one["requests"] > 5
    assert one["statuses"] == {"200": one["requests"]}, "what is no audio is not sent again"
    assert one["latency_ms"]["p50"] >= 10
    assert one["queue_wait_ms"]["p99"] == 3
    assert one["rtf"]["p50"] >= 0.005
    assert one["throughput"] == pytest.approx(2 * one["requests"] / one["seconds"], rel=0.05)
    assert one["models"] == {"tiny": one["requests"]}
    assert all(mark["met"] for mark in result["marks"].values())
    assert result["server"] == {"name": "primary", "version": "1", "commit": "abc"}
    assert result["recordings"] == {"count": 2, "seconds": 4.0, "word_error_rate_percent": None}
    assert result["knee"] in (1, 3)
    json.dumps(result)


async def test_no_request_is_tried_again_and_none_is_forgotten(service, folder):
    service.fails = {5: 503, 6: "gone", 7: 500, 8: "other"}
    result = await loaded(service, folder, 2)
    (step,) = result["steps"]
    assert step["requests"] == len(service.asked) - 3, "three were asked alone"
    assert (step["lost"], step["texts_changed"]) == (1, 1)
    assert step["statuses"] | {"200": 0} == {"200": 0, "500": 1, "503": 1}
    marks = {name: mark["met"] for name, mark in result["marks"].items()}
    assert marks == {"requests_lost": False, "server_errors_but_503": False, "texts_changed_percent": False}


def test_a_step_without_an_answer_has_no_figures():
    told = figures(4, 2.0, [Answer("a", 1.0, problem="TimeoutError"), Answer("a", 0.1, 503)], {"a": "x"})
    assert (told["requests"], told["lost"], told["throughput"]) == (2, 1, 0.0)
    assert told["latency_ms"] == {"n": 0}
    assert told["problems"] == {"TimeoutError": 1}


async def test_the_fields_of_the_form_go_along(service, folder):
    seen = {}

    async def transcribe(request):
        form = await request.post()
        seen.update({name: value for name, value in form.items() if isinstance(value, str)})
        return web.json_response({"text": "", "duration_ms": 0})

    service.transcribe = transcribe
    async with served(service) as url, aiohttp.ClientSession(url) as http:
        answer = await ask(http, read(folder, 9)[0], language="en")
    assert seen == {"language": "en"}
    assert (answer.status, answer.queue_ms) == (200, None)


def test_a_folder_without_recordings_is_told(tmp_path):
    with pytest.raises(BadAudio, match="--clips"):
        read(tmp_path, 5)


def test_a_folder_with_a_manifest_gives_what_is_said():
    from rtc_stt.bench.clips import CLIPS

    sounds = read(CLIPS, 10)
    assert len(sounds) == 10
    assert all(sound.said and sound.data for sound in sounds)


def test_nobody_there(folder):
    with pytest.raises(Unreachable, match="nobody answers"):
        run(Plan("http://127.0.0.1:9", clips=folder), lambda _: None)


async def test_a_server_that_takes_nothing(service, folder):
    service.fails = dict.fromkeys(range(1, 5), 415)
    with pytest.raises(BadAudio, match="takes none"):
        await loaded(service, folder, 1)


def test_the_picture_shows_every_step_and_the_knee():
    steps = [figures(n, 2.0, [Answer("a", 0.1 * n, 200, 2.0, 1.0)], {"a": ""}) for n in (1, 2, 4)]
    drawn = ElementTree.fromstring(picture({"steps": steps, "knee": 2}))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f".//{space}polyline")) == 7
    assert len([e for e in drawn.iter(f"{space}line") if e.get("stroke-dasharray")]) == 3


async def test_the_command_writes_what_it_found(service, folder, tmp_path, capsys):
    out, plot = tmp_path / "deep" / "load.json", tmp_path / "load.svg"
    async with served(service) as url:
        code = await asyncio.to_thread(
            main,
            ["bench", "requests", "--url", url, "--concurrency", "1,2", "--seconds", "0.2",
             "--clips", str(folder), "--out", str(out), "--plot", str(plot)],
        )  # fmt: skip
    assert code == 0
    assert [step["concurrency"] for step in json.loads(out.read_text())["steps"]] == [1, 2]
    assert plot.read_text().startswith("<svg")
    assert "met    requests_lost" in capsys.readouterr().err


@pytest.mark.parametrize("steps", ["0", "2,x", "", "4,2"])
def test_steps_that_are_none_are_wrong_usage(steps, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", "requests", "--url", "http://127.0.0.1:9", "--concurrency", steps])
    assert exit.value.code == 2
    assert "--concurrency" in capsys.readouterr().err
