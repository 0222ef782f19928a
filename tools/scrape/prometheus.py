"""A real Prometheus on loopback, for a test or a picture; and series made for it."""

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

from tools.ports import free_port

__all__ = ["STEP_S", "Api", "Refused", "backfill", "program", "started"]

STEP_S = 15
"""Between two made samples."""

START_S = 20.0


def program(name: str) -> str:
    """The path of one of its programs.

    Raises:
        RuntimeError: it is not there.
    """
    if found := shutil.which(name):
        return found
    raise RuntimeError(f"{name} is missing: tools/ensure_operations.sh installs it")


class Refused(Exception):
    """Prometheus does not take a question; it says why."""


class Api:
    """Its HTTP API."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}"

    def ask(self, path: str, **fields: str | Sequence[str]) -> Any:
        """The data of an answer.

        Raises:
            Refused: it was no question.
        """
        status, body = self._get(f"/api/v1/{path}?{urllib.parse.urlencode(fields, doseq=True)}")
        if status != 200:
            raise Refused(f"{path} {fields}: {body.decode()}")
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
def started(folder: Path, config: Path | None = None, port: int | None = None) -> Iterator[Api]:
    """One that serves what lies in ``folder/data``, and scrapes what ``config`` names.

    Raises:
        RuntimeError: it does not come up; the message is its log.
    """
    if config is None:
        config = folder / "prometheus.yml"
        config.write_text("global: {}\n", encoding="utf-8")
    address = f"127.0.0.1:{port or free_port()}"
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
        deadline = time.monotonic() + START_S
        while not api.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "prometheus.log").read_text(encoding="utf-8"))
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
