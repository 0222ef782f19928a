"""Recognisers of files: an endpoint that a test plays, and commands."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.target import KnowsTurns
from rtc_stt.bench.turns.targets import recordings
from rtc_stt.bench.turns.targets.files import FilesTarget
from rtc_stt.bench.turns.told import Endpoint, Failed, Final
from rtc_stt.errors import TargetFailed
from tests.bench.turns.targets.scripted_server import Ear, serving

KEY = "sk-secret"

TURNS = (Turn("first", "one", "en", 100, 500), Turn("second", "two", "en", 1_000, 1_400))


async def played(target: FilesTarget, told: int, *, language: str | None = None) -> Ear:
    """Two seconds of sound with two turns, and 200 ms for each to be over."""
    ear = Ear()
    try:
        await target.start()
        line = await target.connect(ear, language)
        assert isinstance(line, KnowsTurns)
        line.scene_begins(TURNS, 0)
        for _ in range(100):
            line.send(np.full(320, 0.25, np.float32))
        await ear.count(told)
        await line.close()
    finally:
        await target.close()
    return ear


class Server:
    """Answers with how much sound came."""

    def __init__(self, status: int = 200, body: str | None = None) -> None:
        self.status, self.body = status, body
        self.forms: list[dict[str, Any]] = []
        self.headers: Any = {}

    async def __call__(self, request: web.Request) -> web.Response:
        self.headers = request.headers
        form = dict(await request.post())
        self.forms.append({"path": request.path, **form})
        sound = form.get("audio") or form["file"]
        assert isinstance(sound, web.FileField)
        ms = (len(sound.file.read()) - 44) // 32
        body = json.dumps({"text": f" {ms} ms "}) if self.body is None else self.body
        return web.Response(status=self.status, text=body)


def to(url: str, path: str, **options: Any) -> FilesTarget:
    return FilesTarget(url=url.replace("/v1/listen", path), key=KEY, hangover_ms=200, **options)


async def test_the_endpoint_is_the_truth() -> None:
    server = Server()
    async with serving(server) as url:
        ear = await played(to(url, "/v1/audio/transcriptions", model="turbo"), 4, language="en")
    # Both were sent at once: the turns' ends come before the first answer.
    assert ear.told == [
        Endpoint("first"),
        Endpoint("second"),
        Final("700 ms", "first"),
        Final("900 ms", "second"),
    ]
    [form, _] = server.forms
    assert (form["model"], form["language"], form["response_format"]) == ("turbo", "en", "json")
    assert server.headers["Authorization"] == f"Bearer {KEY}"


async def test_our_own_endpoint_is_asked_in_its_words() -> None:
    server = Server()
    async with serving(server) as url:
        await played(to(url, "/v1/transcribe"), 4)
    assert set(server.forms[0]) == {"path", "audio", "response_format"}


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(401, KEY), "the server answered with status 401: look at the key"),
        (Server(503), "the server answered with status 503"),
        (Server(302), "the server answered with status 302"),
        (Server(200, "<html>"), "a message is not JSON"),
        (Server(200, "{}"), "the answer has no text"),
        (Server(200, '{"text": 1}'), "text is not a text of at most 20000 characters"),
        (Server(200, "x" * 1_100_000), "the answer has over 1048576 bytes"),
    ],
    ids=["key", "busy", "redirect", "html", "no text", "number", "too long"],
)
async def test_answers_that_are_none(server: Server, reason: str) -> None:
    async with serving(server) as url:
        ear = await played(to(url, "/v1/audio/transcriptions"), 3)
    assert ear.told[2:] == [Failed(reason)]
    assert len(server.forms) == 1


async def test_nobody_there() -> None:
    ear = await played(FilesTarget(url="http://127.0.0.1:1/v1/transcribe", key=KEY, hangover_ms=200), 3)
    [failed] = ear.told[2:]
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("the server cannot be reached")


async def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "TIMEOUT_S", 0.05)

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response()

    async with serving(slow) as url:
        ear = await played(to(url, "/v1/transcribe"), 3)
    assert ear.told[2:] == [Failed("no answer within 0.05 s")]


def command(tmp_path: Path, code: str) -> str:
    script = tmp_path / "peer script.py"
    script.write_text(code, encoding="utf-8")
    return f"'{sys.executable}' '{script}' -f {{file}} --language={{language}}"


async def test_a_command_prints_the_text(tmp_path: Path) -> None:
    code = """
import sys, wave
_, _, path, language = sys.argv
with wave.open(path) as sound:
    print(f"{sound.getnframes() // 16} ms", "in", language.split("=")[1])
print("$HOME  ; true")
"""
    target = FilesTarget(command=command(tmp_path, code), hangover_ms=200)
    ear = await played(target, 4)
    assert ear.told[2:] == [
        Final("700 ms in auto $HOME ; true", "first"),
        Final("900 ms in auto $HOME ; true", "second"),
    ]
    assert target.facts["endpoint"] == "from the known times"
    assert "{file}" in str(target.facts["command"])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.exit('no model')", "the command ended with exit code 1: no model"),
        ("print('x ' * 600_000)", "the answer has over 1048576 bytes"),
        ("print('x' * 20_001)", "the command printed over 20000 characters"),
    ],
    ids=["fails", "flood", "too long"],
)
async def test_commands_that_fail(tmp_path: Path, code: str, reason: str) -> None:
    ear = await played(FilesTarget(command=command(tmp_path, code), hangover_ms=200), 3)
    assert ear.told[2:] == [Failed(reason)]


async def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "TIMEOUT_S", 0.3)
    ear = await played(
        FilesTarget(command=command(tmp_path, "import time; time.sleep(60)"), hangover_ms=200), 3
    )
    assert ear.told[2:] == [Failed("the command has not ended after 0.3 s")]


async def test_who_hangs_up_ends_the_command_under_way(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    code = f"import time; open({str(begun)!r}, 'w'); time.sleep(0.3); open({str(ended)!r}, 'w')"
    target = FilesTarget(command=command(tmp_path, code), hangover_ms=200)
    await target.start()
    line = await target.connect(Ear(), None)
    assert isinstance(line, KnowsTurns)
    line.scene_begins(TURNS[:1], 0)
    for _ in range(50):
        line.send(np.zeros(320, np.float32))
    async with asyncio.timeout(10):
        while not begun.exists():
            await asyncio.sleep(0.01)
    await line.close()
    await target.close()
    await asyncio.sleep(0.5)
    assert not ended.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either a URL or a command"),
        ({"url": "http://a/", "command": "b {file}"}, "either a URL or a command"),
        ({"url": "localhost:80"}, "has to be like http://"),
        ({"command": "whisper-cli"}, "where the recording goes"),
        ({"command": "whisper-cli '{file}"}, "cannot be read"),
        ({"command": ""}, "where the recording goes"),
        ({"command": "no-such-program {file}"}, "there is no program no-such-program"),
    ],
)
async def test_what_cannot_be_asked(options: dict[str, str], words: str) -> None:
    target = FilesTarget(**options)
    with pytest.raises(TargetFailed, match=words):
        await target.start()
    await target.close()


def test_the_key_is_in_no_fact() -> None:
    target = FilesTarget(url=f"http://me:{KEY}@host/v1/transcribe?key={KEY}", key=KEY)
    assert KEY not in json.dumps(dict(target.facts))
