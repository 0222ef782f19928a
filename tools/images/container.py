"""Runs an image's own command in its own files, as compose and the chart do: as its user, without
capabilities, with a root that nobody can write to. In namespaces that ``unshare`` makes, for machines where
no engine may run one.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Container"]

BEGIN = """
root=$1 models=$2 keys=$3; shift 3
mount --bind "$root" "$root"
mkdir -p "$root/etc/rtc-stt"; touch "$root/etc/rtc-stt/keys"
mount --bind "$keys" "$root/etc/rtc-stt/keys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o uid=10001,gid=10001 tmpfs "$root/var/lib/rtc-stt"
mount -t tmpfs tmpfs "$root/models"
mkdir "$root/models/small" "$root/models/medium"
mount --bind "$models/demo-tiny" "$root/models/small"
mount --bind "$models/demo-medium" "$root/models/medium"
for folder in small medium; do mount -o remount,ro,bind "$root/models/$folder"; done
mount -o remount,ro "$root/models"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -o remount,ro,bind "$root/etc/rtc-stt/keys"
mount -o remount,ro,bind "$root"
exec chroot "$root" "$@"
"""
"""What an engine does before it starts the command; the mounts end with the process."""


@dataclass
class Container:
    """One that runs."""

    root: Path
    image: Mapping[str, Any]
    """Its configuration, as Docker has it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Over that of the image."""
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0

    def start(self, models: Path, keys: Path, log: Path) -> None:
        """Begin; the log takes what it says."""
        command = [*self.image["Entrypoint"], *self.image["Cmd"]]
        inside = ["sh", "-euc", BEGIN, "container", str(self.root), str(models), str(keys)]
        self.began = time.monotonic()
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", *inside, *self.confined(command)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def confined(self, command: Sequence[str]) -> list[str]:
        """A command as the image's user, with its environment and no more rights than an ordinary process."""
        user, group = self.image["User"].split(":")
        variables = [*self.image["Env"], *(f"{name}={value}" for name, value in self.environment.items())]
        return [
            "/usr/bin/setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs",
            "--inh-caps=-all", "--bounding-set=-all",
            "/usr/bin/env", "--ignore-environment", f"--chdir={self.image['WorkingDir']}",
            *variables, *command,
        ]  # fmt: skip

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Another command in it, as ``docker exec`` does."""
        assert self.process is not None
        return subprocess.run(
            ["nsenter", "--mount", "--root", f"--target={self.process.pid}", *self.confined(command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def wait_healthy(self, seconds: float) -> float:
        """Run the image's health check until it passes; returns the seconds since the start.

        Raises:
            RuntimeError: it ended, or the time is up; with what the check said.
        """
        kind, *check = self.image["Healthcheck"]["Test"]
        assert kind == "CMD", "no shell is needed"
        assert self.process is not None
        said = ""
        while time.monotonic() - self.began < seconds and self.process.poll() is None:
            done = self.run(*check)
            if done.returncode == 0:
                return time.monotonic() - self.began
            said = done.stdout + done.stderr
            time.sleep(0.2)
        raise RuntimeError(f"it is not healthy: {said}")

    def status(self, name: str) -> str:
        """A line of the process's ``/proc/PID/status``."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))

    def stop(self, seconds: float = 60.0) -> tuple[int, float]:
        """By the image's signal: the exit code, and how long it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.Signals[self.image["StopSignal"]])
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return code, time.monotonic() - began
