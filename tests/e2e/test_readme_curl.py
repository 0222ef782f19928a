"""The commands that the README shows for the HTTP services, run as they stand there but for the port."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys

import pytest

from rtc_stt.bench.clips import load
from rtc_stt.bench.words import normalise
from tests.e2e import support

pytestmark = pytest.mark.e2e

MARK = "<!-- run by tests/e2e/test_readme_curl.py -->\n```sh\n"


def commands() -> str:
    """The block of the README."""
    readme = (support.ROOT / "README.md").read_text(encoding="utf-8")
    block, _, _ = readme.partition(MARK)[2].partition("```")
    assert block.count("curl ") >= 5
    return block


def run(script: str) -> tuple[int, str, str]:
    """In one shell, which takes along with it what it has started."""
    done = subprocess.run(
        ["bash", "-e", "-m", "-c", f"trap 'kill %1 2>&- || true' EXIT\n{script}wait"],
        cwd=support.ROOT,
        env=support.clean_environment(PYTHONPATH=str(support.ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_curl_commands_of_the_readme() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = commands().replace("8081", str(port))
    script = script.replace(".venv/bin/rtc-stt", f"{sys.executable} -m rtc_stt")
    code, out, error = run(script)
    assert code == 0, out + error
    said = {clip.id: clip.text for clip in load("clean", limit=60)}
    ready, plain, verbose, refused, metrics = json_objects(out)
    assert ready["ok"] is True
    assert normalise(plain["text"]) == normalise(said["clean-000"])
    assert normalise(verbose["text"]) == normalise(said["clean-002"])
    words = [word["word"] for segment in verbose["segments"] for word in segment["words"]]
    assert " ".join(words) == verbose["text"]
    assert refused["error"]["type"] == "unsupported_media_type"
    assert metrics["requests"]["by_status"] == {"2xx": 3, "4xx": 1}
    cue = re.search(r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n(.+)\n", out)
    assert cue
    assert normalise(cue[1]) == normalise(said["clean-001"])


def json_objects(text: str) -> list[dict[str, object]]:
    """All that are in it, in order; between them may be anything."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := text.find("{", at)) >= 0:
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def test_the_smoke_test_of_operators(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All is well with a service that is well; and it says so where one is not."""
    folder, key = tmp_path_factory.mktemp("smoke"), "key-of-the-smoke-test-for-tests-only"
    clip = next(support.clips("digits"))
    wav = support.write_wav(folder / "short.wav", clip.audio, 16_000)
    server = support.Process(folder / "server.log", "primary", "--demo", "--port", "0", API_KEYS=key)
    try:
        url = server.url()
        well = smoke(url, key, str(wav), str(support.CLIPS / "clean" / "clean-000.flac"))
        no_key = smoke(url, "another-key-for-tests-only", str(wav))
        no_speech = smoke(url, key, str(support.write_wav(folder / "none.wav", support.silence(2), 16_000)))
        server.stop()
        nobody = smoke(url, key, str(wav))
    finally:
        server.kill()
    assert well.returncode == 0, well.stdout + well.stderr
    assert "FAIL" not in well.stdout
    assert "short.wav, over and over" in well.stdout
    assert "en (forced)" in well.stdout
    assert "9 of 9 as they should be" in well.stdout
    for done, words in ((no_key, "401"), (no_speech, "no text"), (nobody, "nobody answers")):
        assert done.returncode == 1, done.stdout + done.stderr
        assert "FAIL" in done.stdout
        assert words in done.stdout
    assert smoke(url, key, str(folder / "missing.wav")).returncode == 2


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tests/smoke_test_stt.py", *arguments],
        cwd=support.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
