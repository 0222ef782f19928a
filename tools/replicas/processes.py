"""Replicas as processes on this machine, and a directory that lists them, as Ray's would."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

from aiohttp import web

from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.replica import Replica, read_list, write_list

__all__ = ["KEY", "Directory", "ReplicaProcess"]

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-measurements-only"
START_S = 60.0
"""For a process with a demo model, on a busy machine."""


class ReplicaProcess:
    """One replica. Its output is in a file, so that no pipe fills up."""

    def __init__(self, folder: Path, tier: Tier, replica_id: str, calls: int = 1) -> None:
        self.id = replica_id
        paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._out, self._log = folder / f"{replica_id}.json", folder / f"{replica_id}.log"
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.replicas.serve", tier, replica_id, "--calls", str(calls)],
                cwd=ROOT,
                env=os.environ | {"WORKERS_KEY": KEY, "PYTHONPATH": paths},
                stdout=out,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8")

    def replica(self) -> Replica:
        """As it is listed; waits until it serves.

        Raises:
            RuntimeError: it does not.
        """
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if (text := self._out.read_text(encoding="utf-8")).endswith("\n"):
                return read_list(text)[0]
            time.sleep(0.05)
        raise RuntimeError(f"replica {self.id} did not come up: {self.log}")

    def kill(self) -> None:
        """It is gone after this."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


class Directory:
    """``GET /replicas`` on a free port of this machine, of whoever is in :attr:`replicas`."""

    def __init__(self, key: str = KEY) -> None:
        self.replicas: dict[str, Replica] = {}
        self.asked = 0
        self.place = ""
        """``HOST:PORT``."""
        self._key = key
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Directory:
        app = web.Application()
        app.router.add_get("/replicas", self._tell)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.place = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    def list(self, *replicas: Replica) -> None:
        """These as well."""
        self.replicas |= {replica.id: replica for replica in replicas}

    def drain(self, replica_id: str) -> None:
        """This one is to go."""
        self.replicas[replica_id] = dataclasses.replace(self.replicas[replica_id], draining=True)

    async def _tell(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.headers.get("Authorization") != f"Bearer {self._key}":
            return web.Response(status=401)
        return web.Response(text=write_list(self.replicas.values()), content_type="application/json")
