"""Asks a server whether it is well: what a container's health check runs, without curl.

Nothing but the standard library is imported, and little of that: a check runs every few seconds beside live
audio, and must not cost what the server's own imports do. ``rtc-stt health`` is the same for people.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

__all__ = ["MAX_ANSWER", "TIMEOUT_S", "ask", "default_url", "main"]

TIMEOUT_S = 3.0
"""A server that is well answers within milliseconds."""

MAX_ANSWER = 4096
"""Bytes of the answer that are read."""

EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 — to be replaced
"""Addresses to listen on that nobody can be asked at, and where to ask instead."""


def default_url(environment: Mapping[str, str], path: str = "/v1/ready") -> str:
    """Where the server of this container listens, by ``HOST`` and ``PORT``."""
    host = environment.get("HOST", "")
    host = EVERYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{environment.get('PORT') or '8080'}{path}"


def ask(url: str, timeout_s: float = TIMEOUT_S) -> tuple[bool, str]:
    """Whether the answer is 200, and the answer in words. Never raises, whatever a server does."""
    try:
        parts = urlsplit(url)
        connection = (HTTPSConnection if parts.scheme == "https" else HTTPConnection)(
            parts.hostname or "", parts.port, timeout=timeout_s
        )
        try:
            connection.request("GET", parts.path or "/v1/ready", headers={"Connection": "close"})
            answer = connection.getresponse()
            text = answer.read(MAX_ANSWER).decode("utf-8", "replace").strip()
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        return False, f"no answer ({type(error).__name__})"
    return answer.status == 200, f"{answer.status} {text}"


def main(arguments: Sequence[str] = ()) -> int:
    """0 where the server of this container is ready, or who is asked at a URL, else 1."""
    well, says = ask(arguments[0] if arguments else default_url(os.environ))
    sys.stdout.write(f"{says}\n")  # told where the state of the container is looked at
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
