"""The examples run as their docstrings say."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
import sys

import pytest

from tests.e2e.support import ROOT

pytestmark = pytest.mark.e2e

SAMPLE = "web_demo/samples/booking.wav"


def run(*arguments: str) -> list[str]:
    """The lines that an example prints."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_recognizer_runs_in_process() -> None:
    lines = run("examples/in_process.py", SAMPLE)
    assert lines[-1].startswith("Can I book a table for eight people")
    assert any(line.startswith("  Can") for line in lines[:-1]), "partials come before the final"


def test_a_webrtc_client_fits_into_one_file(demo: str) -> None:
    lines = run("examples/webrtc_client.py", demo, SAMPLE)
    assert lines[-1].startswith("Can I book a table for eight people")
    assert any(line.startswith("   Can") for line in lines[:-1]), "partials come before the final"


def test_a_live_session_is_a_dozen_lines(demo: str) -> None:
    lines = run("examples/live_session.py", demo, SAMPLE)
    assert lines[0].startswith("-- session ")
    assert lines[-1].startswith("Can I book a table for eight people")
    assert any(line.startswith("   Can") for line in lines[1:-1]), "partials come before the final"


def test_a_recording_becomes_a_transcript(demo: str) -> None:
    lines = run("examples/transcribe_file.py", demo, SAMPLE)
    assert "Can I book a table for eight people" in lines[0]
    assert lines[-1].startswith("-- ")


def test_many_recordings_go_through_a_pool(demo: str) -> None:
    lines = run("examples/transcribe_many.py", f"{demo},{demo}", SAMPLE, "README.md", SAMPLE)
    assert [line.startswith(f"{SAMPLE}: Can I book a table for eight people") for line in lines] == [
        True, False, True, False,
    ]  # fmt: skip
    assert lines[1].startswith("README.md: -- BadAudio: ")
    assert lines[-1].startswith("-- 2 recordings, p50 ")


GUIDE = ROOT / "docs/guides/http-client.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
async def test_the_guide_to_recordings_runs_as_it_is_written(
    demo: str, snippet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the addresses and the recording."""
    written = re.sub(r"http://(localhost|gpu-\d):8081", demo, snippet)
    written = written.replace("call.wav", str(ROOT / SAMPLE)).replace("README.md", str(ROOT / "README.md"))
    code = compile(written, "http-client.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = await asyncio.to_thread(eval, code, {"KEY": None})
    if running is not None:
        await running
    told = capsys.readouterr().out
    assert "Can I book a table for eight people" in told or "no audio:" in told or " 200 " in told
