"""nginx as ``deploy/proxy`` sets it up for several upstreams, with other ports and places, and no TLS."""

from __future__ import annotations

import getpass
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tools.operations.processes import ROOT
from tools.ports import free_port

__all__ = ["Proxy"]

PROXY = ROOT / "deploy" / "proxy"


class Proxy:
    """See above.

    Args:
        folder: for all that it writes.
        gateways, primaries: ports, two each; no primaries where none are asked.
    """

    def __init__(self, folder: Path, gateways: Sequence[int], primaries: Sequence[int] = ()) -> None:
        self._folder = folder
        port, inside = free_port(), free_port()
        self.url, self.recordings_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{inside}"
        self.port = port
        self._upstreams = folder / "upstreams.conf"
        self._write_upstreams(gateways, primaries, inside)
        self._write_server(port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Check the configuration by nginx itself, and serve.

        Raises:
            CalledProcessError: nginx does not take it.
        """
        subprocess.run(self._command("-t"), check=True, capture_output=True)
        self._process = subprocess.Popen(self._command())

    def stop(self) -> None:
        """At once."""
        if self._process:
            self._process.terminate()
            self._process.wait(10)

    def mark(self, port: int, *, down: bool) -> None:
        """Take an upstream out of the balance, or back in, as an operator does."""
        text = re.sub(
            rf"(server 127\.0\.0\.1:{port} fail_timeout=2s)(?: down)?;",
            rf"\1{' down' if down else ''};",
            self._upstreams.read_text(encoding="utf-8"),
        )
        self._upstreams.write_text(text, encoding="utf-8")
        assert self._process
        self._process.send_signal(signal.SIGHUP)  # nginx -s reload

    @property
    def errors(self) -> list[str]:
        """What nginx has complained of."""
        log = self._folder / "error.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def _command(self, *more: str) -> list[str]:
        return ["nginx", "-c", str(self._folder / "whole.conf"), *more]

    def _write_upstreams(self, gateways: Sequence[int], primaries: Sequence[int], inside: int) -> None:
        ports = dict(
            zip((8080, 8090, 8081, 8091, 8085), (*gateways, *(primaries or (1, 1)), inside), strict=True)
        )
        text = (PROXY / "upstreams.conf").read_text(encoding="utf-8")
        # Here all clients have one address. Dealt out in turn they meet a strange gateway more often.
        text = _replaced(text, "    hash $remote_addr consistent;\n", "")
        for ours, theirs in ports.items():
            text = _replaced(text, f"127.0.0.1:{ours}", f"127.0.0.1:@{theirs}")
        text = text.replace("127.0.0.1:@", "127.0.0.1:")
        text = _replaced(text, "/etc/nginx/rtc-stt-proxy.conf", str(PROXY / "rtc-stt-proxy.conf"))
        self._upstreams.write_text(text, encoding="utf-8")

    def _write_server(self, port: int) -> None:
        text = (PROXY / "nginx.conf").read_text(encoding="utf-8")
        text = re.sub(
            r"upstream rtc_stt_gateway \{.*?\n\}\n", f"include {self._upstreams};\n", text, flags=re.S
        )
        text = re.sub(r"server \{\n    listen 80;.*?\n\}\n", "", text, flags=re.S)
        text = re.sub(r"    (ssl_\w+|add_header Strict).*\n", "", text)
        for ours, theirs in {
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port};",
            "/etc/nginx/rtc-stt-proxy.conf": str(PROXY / "rtc-stt-proxy.conf"),
            "/var/log/nginx/rtc-stt.log": str(self._folder / "access.log"),
        }.items():
            text = _replaced(text, ours, theirs)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {self._folder}/{kind};" for kind in kinds)
        (self._folder / "whole.conf").write_text(
            f"user {getpass.getuser()}; daemon off;\n"
            f"pid {self._folder}/nginx.pid; error_log {self._folder}/error.log;\n"
            f"events {{}}\nhttp {{ {places}\n{text}\n}}\n",
            encoding="utf-8",
        )


def _replaced(text: str, ours: str, theirs: str) -> str:
    """Where the example has it.

    Raises:
        ValueError: it does not.
    """
    if ours not in text:
        raise ValueError(f"{ours} is not in the example any more")
    return text.replace(ours, theirs)
