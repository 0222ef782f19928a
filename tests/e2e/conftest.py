"""Fixtures of the end-to-end tests: everything real, started as a user starts it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import support


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of ``rtc-stt demo``. At the end it must stop as it should, with nothing alarming in its log."""
    server = support.Process(
        tmp_path_factory.mktemp("demo") / "server.log", "demo", "--port", "0", "--log-level", "info"
    )
    try:
        yield server.url()
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., support.Process]]:
    """Starts servers of one test: ``start_server("demo", "--port", "0")``. None outlives the test."""
    started: list[support.Process] = []

    def start(*arguments: str, **environment: str) -> support.Process:
        started.append(support.Process(tmp_path / f"server-{len(started)}.log", *arguments, **environment))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A folder that all workers of this run have in common; None where there are no others."""
    return tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None


@pytest.fixture(scope="session")
def sentences(together: Path | None) -> list[support.Clip]:
    """Sentences that the demo models get right; their ``text`` is what the models say offline."""
    return support.understood("clean", 6, together)


@pytest.fixture(scope="session")
def digits(together: Path | None) -> list[support.Clip]:
    """Strings of digits in a human voice, likewise."""
    return support.understood("digits", 1, together)


@pytest.fixture(scope="session")
def human_speech() -> Path:
    """A folder of recordings of people."""
    if not (support.HUMAN_SPEECH / "jfk.flac").is_file():
        pytest.skip(f"no recordings of people at {support.HUMAN_SPEECH}")
    return support.HUMAN_SPEECH


def required(name: str, found: str | None) -> str:
    """What a test needs of the machine: without it the test is skipped, or fails where none may be."""
    if found:
        return found
    if os.environ.get("RTC_STT_REQUIRE_BROWSER") == "1":
        pytest.fail(f"RTC_STT_REQUIRE_BROWSER=1 and there is no {name}")
    pytest.skip(f"there is no {name}")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    return required("chromium on PATH", support.find_chromium())


@pytest.fixture(scope="session")
def turnserver() -> str:
    """The path of coturn."""
    return required("turnserver (coturn) on PATH", shutil.which("turnserver"))


@pytest.fixture(scope="session")
def sipp() -> str:
    """The path of sipp."""
    return required("sipp (sip-tester) on PATH", shutil.which("sipp"))


@pytest.fixture(scope="session")
def sipsak_program() -> str:
    """The path of sipsak."""
    return required("sipsak on PATH", shutil.which("sipsak"))


@pytest.fixture(scope="session")
def baresip_program() -> str:
    """The path of baresip."""
    return required("baresip on PATH", shutil.which("baresip"))


@pytest.fixture(scope="session")
def gstreamer() -> str:
    """The Python that has GStreamer's webrtcbin."""
    return required("GStreamer with webrtcbin and Python bindings", support.find_gstreamer())
