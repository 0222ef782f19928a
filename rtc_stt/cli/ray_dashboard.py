"""What is asked of a Ray cluster by HTTP: the dashboard of its head, and our directory behind Serve."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from rtc_stt.errors import ConfigError, RtcSttError

__all__ = ["KEY_VARIABLE", "Dashboard", "Unreachable", "ask_directory"]

KEY_VARIABLE = "RAY_AUTH_TOKEN"
"""As Ray's own commands have it."""

TIMEOUT_S = 30.0
"""The first question starts Serve's controller."""

DIRECTORY_TIMEOUT_S = 3.0
MOST_BYTES = 16 * 1024 * 1024
PATH = "/api/serve/applications/"


class Unreachable(RtcSttError):
    """Nobody answers, or not what was asked for."""


class Dashboard:
    """That of the head.

    Args:
        address: ``http://head:8265``.

    Raises:
        ConfigError: it is no such URL.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"--address: {address!r} is no URL like http://head:8265")
        self.host = parts.hostname
        self._url = address.rstrip("/") + PATH
        token = os.environ.get(KEY_VARIABLE)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def details(self) -> dict[str, Any]:
        """All that Serve tells of itself.

        Raises:
            Unreachable: it does not.
        """
        found = _ask(urllib.request.Request(self._url, headers=self._headers), TIMEOUT_S)  # noqa: S310
        if not isinstance(found, dict) or "applications" not in found:
            raise Unreachable(f"what answers at {self._url} is not Ray's dashboard")
        return found

    def put(self, config: dict[str, Any]) -> None:
        """Tell Serve what to run: these applications, and no others that a configuration put there.

        Raises:
            Unreachable: it does not take it.
        """
        headers = {"Content-Type": "application/json", **self._headers}
        data = json.dumps(config).encode()
        request = urllib.request.Request(self._url, data, headers, method="PUT")  # noqa: S310
        _ask(request, TIMEOUT_S)


def ask_directory(host: str, port: int, key: str) -> Any:
    """What ``GET /replicas/status`` answers.

    Raises:
        Unreachable: nobody does.
    """
    name = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"http://{name}:{port}/replicas/status", headers={"Authorization": f"Bearer {key}"}
    )
    return _ask(request, DIRECTORY_TIMEOUT_S)


def _ask(request: urllib.request.Request, timeout: float) -> Any:
    url = request.full_url
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - the scheme was looked at
            data = answer.read(MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(MOST_BYTES).decode("utf-8", "replace").strip().splitlines()
        # What Ray answers is a traceback, and its last line says it.
        raise Unreachable(f"{url} answers {error.code}: {said[-1][:500] if said else error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise Unreachable(f"{url} does not answer ({why}): is the address right, and Ray running?") from None
    if len(data) > MOST_BYTES:
        raise Unreachable(f"{url} answers too much")
    try:
        return json.loads(data) if data else None
    except (ValueError, RecursionError):
        raise Unreachable(f"{url} answers no JSON") from None
