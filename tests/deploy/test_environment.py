"""The packages of the images' list, and no others, start a server. They are this environment's, linked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from rtc_stt import health
from tools.images.requirements import FOLDER, LEFT_OUT, pins

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
THERE = "import importlib.util, sys; sys.exit(any(map(importlib.util.find_spec, {names!r})))"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of the list."""
    folder = tmp_path_factory.mktemp("packages")
    for name in pins((FOLDER / "requirements.txt").read_text()):
        found = distribution(name)
        for top in {
            file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")
        }:
            if not (folder / top).exists():
                (folder / top).symlink_to(str(found.locate_file(top)))
    return folder


@pytest.fixture(scope="module")
def environment(packages: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}", "HOME": str(packages)}


def python(environment: dict[str, str], *arguments: str) -> list[str]:
    """A Python that knows no other packages."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [str(base), "-s", *arguments]


def test_what_is_left_out_is_not_there(environment: dict[str, str]) -> None:
    program = THERE.format(names=sorted(LEFT_OUT))
    assert subprocess.run(python(environment, "-c", program), env=environment, check=False).returncode == 0


@pytest.fixture(params=["demo", "fallback"])
def server(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """One of the servers, ready, and its URL."""
    more = [] if request.param == "demo" else ["--demo"]
    command = python(environment, "-m", "rtc_stt", request.param, "--port", "0", *more)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if url := re.search(r"http://\S+:\d+", line):
                yield url[0], process
                break
        else:
            pytest.fail("it ended")
    finally:
        process.kill()
        process.communicate()


def test_a_server_starts_and_ends(server: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = server
    assert health.ask(f"{url}/v1/ready")[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
