"""The command line as a user meets it: each command in a process of its own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from rtc_stt.events import EVENT_TYPES, TranscriptFinal
from rtc_stt.wire import decode_event
from tests.e2e import support
from tests.e2e.support import Clip, assert_whole, rtc_stt, silence
from tools.live_line.client import LiveClient

pytestmark = pytest.mark.e2e

Start = Callable[..., support.Process]


def assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It failed, and says in one line on standard error why."""
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("rtc-stt: ")
    for word in words:
        assert word in lines[0], lines[0]


@pytest.fixture(scope="module")
def two_clips(sentences: list[Clip], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        support.write_wav(
            folder / f"{clip.id}.wav", np.concatenate([silence(0.5), clip.audio, silence(0.8)]), 16_000
        )
        for clip in sentences[:2]
    ]


# ── Help and wrong usage ────────────────────────────

END = "-- end of help --"
ASK_ALL = f"""
import sys
from rtc_stt.cli import main
for command in sys.argv[1:]:
    try:
        sys.exit(f"{{command}} did not end: {{main([command, '--help'])}}")
    except SystemExit as end:
        assert end.code == 0, end.code
    print({END!r})
"""
"""Of one process: to begin one takes longer than to help."""


def test_help_of_every_command_has_an_example() -> None:
    top = rtc_stt("--help")
    assert top.returncode == 0
    listed = top.stdout.partition("commands:")[2]
    commands = re.findall(r"^    (\w[\w-]*)", listed, re.M)
    assert {"demo", "serve", "transcribe", "config"} <= set(commands)
    shown = subprocess.run(
        [sys.executable, "-c", ASK_ALL, *commands], capture_output=True, text=True, check=True, timeout=100
    ).stdout.split(END)
    for command, told in zip(commands, shown, strict=False):
        assert re.search(rf"example:\n +.*rtc-stt {command}", told), told


def test_version() -> None:
    assert re.fullmatch(r"rtc-stt \d+\.\d+\.\d+\S*\n", rtc_stt("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [(), ("dance",), ("demo", "--port", "many"), ("transcribe",), ("transcribe", "--format", "pdf", "x.wav")],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = rtc_stt(*arguments)
    assert done.returncode == 2, done
    assert done.stderr.startswith("usage: rtc-stt")
    assert "Traceback" not in done.stderr


# ── Files ────────────────────────────


def test_transcribe_as_text(two_clips: list[Path], sentences: list[Clip]) -> None:
    done = rtc_stt("transcribe", "--demo", *map(str, two_clips))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [clip.text for clip in sentences[:2]]


def test_transcribe_as_json_lines(two_clips: list[Path], sentences: list[Clip]) -> None:
    done = rtc_stt("transcribe", "--demo", "--format", "jsonl", str(two_clips[0]))
    assert (done.returncode, done.stderr) == (0, "")
    assert {json.loads(line)["type"] for line in done.stdout.splitlines()} <= set(EVENT_TYPES)
    events = [decode_event(line) for line in done.stdout.splitlines()]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [e.text for e in events if isinstance(e, TranscriptFinal)] == [sentences[0].text]
    assert (events[0].type, events[-1].type) == ("session.started", "session.ended")


@pytest.mark.parametrize(
    ("form", "first", "times"),
    [
        ("srt", "1", r"00:00:0\d,\d{3} --> 00:00:0\d,\d{3}"),
        ("vtt", "WEBVTT", r"00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}"),
    ],
)
def test_transcribe_as_subtitles(
    two_clips: list[Path], sentences: list[Clip], form: str, first: str, times: str
) -> None:
    done = rtc_stt("transcribe", "--demo", "--format", form, str(two_clips[0]))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == first
    assert re.search(times, done.stdout), done.stdout
    assert " ".join(done.stdout.split()).endswith(sentences[0].text)


def test_transcribe_a_missing_file(two_clips: list[Path], tmp_path: Path) -> None:
    missing = tmp_path / "missing.wav"
    done = rtc_stt("transcribe", "--demo", str(two_clips[0]), str(missing))
    assert_one_clear_line(done, str(missing), "no such file")
    assert not done.stdout, "nothing is begun that cannot be finished"


def test_transcribe_what_is_no_audio_and_then_what_is(
    two_clips: list[Path], sentences: list[Clip], tmp_path: Path
) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Dear Sir or Madam")
    done = rtc_stt("transcribe", "--demo", str(text), str(two_clips[0]))
    assert_one_clear_line(done, str(text))
    assert done.stdout.strip() == sentences[0].text, "the others are still transcribed"


def test_transcribe_in_a_language_that_the_model_does_not_know(two_clips: list[Path]) -> None:
    done = rtc_stt("transcribe", "--demo", "--language", "tlh", str(two_clips[0]))
    assert "language must be one of" in done.stderr
    assert "Traceback" not in done.stderr


# ── Configuration ────────────────────────────


def test_config_check_names_the_file_and_line_of_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "gateway.env"
    file.write_text("# ours\nPORT=8080\nMIN_SILENCE=500\n")
    done = rtc_stt("config", "check", "--config", str(file))
    assert_one_clear_line(done, f"{file}:3", "MIN_SILENCE", "MIN_SILENCE_MS")
    file.write_text("PORT=eighty\n")
    assert_one_clear_line(rtc_stt("config", "check", CONFIG_PATH=str(file)), f"{file}:1", "PORT", "eighty")
    done = rtc_stt("config", "check", "--config", str(tmp_path / "missing.env"))
    assert_one_clear_line(done, "missing.env")


def test_config_check_shows_what_is_in_force_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "gateway.env"
    file.write_text("API_KEYS=a-secret-of-32-characters-000001\nPORT=9000\nMIN_SILENCE_MS=400\n")
    done = rtc_stt("config", "check", "--config", str(file), PORT="9001")
    assert done.returncode == 0, done
    assert "a-secret" not in done.stdout + done.stderr
    assert "PORT=9001  # environment" in done.stdout, "the environment is over the file"
    assert f"MIN_SILENCE_MS=400  # {file}:3" in done.stdout


def test_config_reference_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "reference.env"
    file.write_text(re.sub(r"^#(\w+=)", r"\1", rtc_stt("config", "reference").stdout, flags=re.M))
    done = rtc_stt("config", "check", "--config", str(file))
    assert done.returncode == 0, done.stderr


# ── Servers ────────────────────────────


def test_serve_without_a_model_says_so() -> None:
    assert_one_clear_line(rtc_stt("serve", "--port", "0"), "CT2_SMALL_PATH", "rtc-stt demo")


def test_serve_with_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    done = rtc_stt("serve", "--port", "0", CT2_SMALL_PATH=str(tmp_path))
    assert_one_clear_line(done, str(tmp_path), "model.bin")


def test_serve_to_others_without_keys_is_refused() -> None:
    done = rtc_stt("demo", "--host", "0.0.0.0", "--port", "0")
    assert_one_clear_line(done, "API_KEYS", "ALLOW_OPEN")
    done = rtc_stt("serve", "--host", "0.0.0.0", "--port", "0", API_KEYS="short")
    assert_one_clear_line(done, "API_KEYS")
    assert "short" not in done.stderr


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = rtc_stt("demo", "--port", str(port))
    assert_one_clear_line(done, f"127.0.0.1:{port}", "--port")


async def test_sigterm_in_the_middle_of_speech_drains(start_server: Start, sentences: list[Clip]) -> None:
    server = start_server("demo", "--port", "0", "--log-level", "info")
    client = LiveClient(server.url())
    await client.connect()
    try:
        client.speaker.speak(np.concatenate([silence(0.3), sentences[0].audio, sentences[1].audio]))
        await client.wait_for("transcript.partial", timeout=15)
        server.terminate()
        ended = await client.wait_for("session.ended", timeout=15)
    finally:
        await client.connection.close()
        client.resource = None  # the server is gone
        await client.close()
    order = [received.event.type for received in client.received]
    assert ended.reason == "drained"
    assert [warning.code for warning in client.events("warning")] == ["draining"]
    assert order.index("warning") < order.index("transcript.final") < order.index("session.ended")
    assert_whole(client)
    assert server.wait() == 0
    server.assert_calm()


async def test_serve_to_others_with_keys_asks_for_them(start_server: Start) -> None:
    keys = ["the-first-key-of-the-test-0001", "the-second-key-of-the-test-0002"]
    server = start_server("demo", "--host", "0.0.0.0", "--port", "0", API_KEYS=", ".join(keys))
    url = server.url().replace("0.0.0.0", "127.0.0.1")
    async with aiohttp.ClientSession(url) as http:
        for key, status in (*((key, 415) for key in keys), (keys[0][:-1], 401), ("", 401)):
            async with http.post("/whip", headers={"Authorization": f"Bearer {key}"}) as response:
                assert response.status == status
    server.stop()
    assert not any(key in server.log for key in keys)


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_can_be_read_by_people_or_machines(start_server: Start, form: str) -> None:
    server = start_server("demo", "--port", "0", "--log-level", "info", "--log-format", form)
    server.url()
    server.stop()
    last = server.log.strip().splitlines()[-1]
    if form == "json":
        assert json.loads(last)["message"] == "draining"
    else:
        assert last.endswith("draining")
