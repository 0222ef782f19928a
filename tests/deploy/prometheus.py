"""A real Prometheus on loopback, for a test; and series made for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.support import free_port

__all__ = ["STEP_S", "Api", "backfill", "program", "started"]

STEP_S = 15
"""Between two made samples."""


def program(name: str) -> str:
    """The path of one of its programs."""
    found = shutil.which(name)
    assert found, f"{name} is missing: tools/ensure_operations.sh installs it"
    return found


class Api:
    """Its HTTP API."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}"

    def ask(self, path: str, **fields: str | Sequence[str]) -> Any:
        """The data of an answer; an error of Prometheus fails the test."""
        status, body = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(fields, doseq=True)}")
        assert status == 200, f"{path} {fields}: {body.decode()}"
        return json.loads(body)["data"]

    def query(self, expression: str) -> list[Any]:
        """The series of an expression, now."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def is_ready(self) -> bool:
        """Whether it answers questions."""
        with contextlib.suppress(OSError):
            return self._get("/-/ready")[0] == 200
        return False

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def started(folder: Path, config: Path | None = None) -> Iterator[Api]:
    """One that serves what lies in ``folder/data``, and scrapes what ``config`` names."""
    if config is None:
        config = folder / "prometheus.yml"
        config.write_text("global: {}\n", encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    api = Api(address)
    try:
        deadline = time.monotonic() + 20
        while not api.is_ready():
            told = (folder / "prometheus.log").read_text()
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        yield api
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def backfill(folder: Path, series: Mapping[str, Sequence[float]], end: float) -> None:
    """Put series into ``folder/data``: values :data:`STEP_S` apart, the last of them at ``end`` (Unix)."""
    lines = []
    for name, values in series.items():
        start = end - (len(values) - 1) * STEP_S
        lines += [f"{name} {value:g} {start + STEP_S * place:.3f}" for place, value in enumerate(values)]
    text = folder / "series.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    subprocess.run(
        [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")],
        check=True,
        capture_output=True,
        timeout=60,
    )
