"""nginx as ``deploy/proxy/fleet.conf`` sets it up for two gateways, with other ports and places."""

from __future__ import annotations

import getpass
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tools.operations.processes import ROOT
from tools.ports import free_port

__all__ = ["Balancer"]

PROXY = ROOT / "deploy" / "proxy"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Balancer:
    """See above.

    Args:
        folder: for all that it writes.
        ports: of the gateways.
    """

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self._folder = folder
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        text = (PROXY / "fleet.conf").read_text(encoding="utf-8")
        for name, own in zip(("gateway-a", "gateway-b"), ports, strict=True):
            text = _replaced(text, f"{name}:8080", f"127.0.0.1:{own}")
        for ours, theirs in {
            "listen 8080;": f"listen 127.0.0.1:{port};",
            "/etc/nginx/rtc-stt-proxy.conf": str(PROXY / "rtc-stt-proxy.conf"),
            "/dev/stdout": str(folder / "access.log"),
        }.items():
            text = _replaced(text, ours, theirs)
        places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMPORARY)
        self._text = (
            f"user {getpass.getuser()}; daemon off; worker_processes 1;\n"
            f"pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{ {places}\n{text}\n}}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0

    def start(self) -> None:
        """Check the configuration by nginx itself, and serve.

        Raises:
            CalledProcessError: nginx does not take it.
        """
        self._write()
        subprocess.run(self._command("-t"), check=True, capture_output=True)
        self._process = subprocess.Popen(self._command())

    def mark(self, port: int, *, down: bool) -> None:
        """Take a gateway out of the balance, or back in, as an operator does."""
        self._text = re.sub(
            rf"(server 127\.0\.0\.1:{port} [^;]*?)(?: down)?;", rf"\1{' down' if down else ''};", self._text
        )
        self._write()
        assert self._process
        self._process.send_signal(signal.SIGHUP)  # nginx -s reload

    def complaints(self) -> dict[str, int]:
        """What nginx has complained of since it was asked last, without names and numbers, and how often."""
        log = self._folder / "error.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        found = Counter(re.findall(r"\[(?:error|crit|alert)\] \d+#\d+: \*\d+ ([a-z ]+)", text[self._read :]))
        self._read = len(text)
        return {what.strip(): count for what, count in found.most_common(8)}

    def stop(self) -> None:
        """At once."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)

    def _write(self) -> None:
        (self._folder / "whole.conf").write_text(self._text, encoding="utf-8")

    def _command(self, *more: str) -> list[str]:
        return ["nginx", "-c", str(self._folder / "whole.conf"), *more]


def _replaced(text: str, ours: str, theirs: str) -> str:
    """Where the example has it.

    Raises:
        ValueError: it does not.
    """
    if ours not in text:
        raise ValueError(f"{ours} is not in deploy/proxy/fleet.conf any more")
    return text.replace(ours, theirs)
