"""How a recogniser in a Python environment of its own is measured: the other end of the benchmark's bridge.

Standard library only, Python 3.9 or later, and nothing of rtc_stt, so that any environment can run it. A
script beside this file says ``import link``, loads its model, and calls :func:`serve`; ``example.py`` is one.

Sound comes over TCP on loopback: a length in bytes as uint32, little-endian, then so much PCM (16 kHz, mono,
s16le); length 0 hangs up. Each connection is one session, with a thread of its own. What a session tells goes
back as lines of JSON, ``{"type": …}`` with the fields of :data:`FIELDS`. On standard output one line says
where to connect, when all is ready: ``{"port": N, "facts": {…}, "says_ready": true}``. The first line of a
session is ``{"type": "ready"}``, when it has been made: what is spoken before that is not measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from typing import Protocol

__all__ = ["FIELDS", "Session", "Tell", "arguments", "run_session", "serve"]

FIELDS: dict[str, tuple[str, ...]] = {
    "ready": (),
    "started": ("utterance",),
    "partial": ("text", "utterance", "stable_chars", "audio_end_ms"),
    "eager": ("text", "utterance"),
    "resumed": ("utterance",),
    "endpoint": ("utterance",),
    "final": ("text", "utterance", "degraded"),
    "dropped": ("reason", "utterance"),
    "failed": ("reason",),
}
"""What can be told, and its fields. ``text`` is needed, all others may be left out. A script need not say
``ready``: it is said when its session has been made."""

MAX_PIECE = 1 << 20
"""Bytes of sound at once: half a minute. More is not sound."""

Tell = Callable[..., None]
"""``tell("final", text="hello")``: from any thread. After the end of the session it does nothing."""


class Session(Protocol):
    """What a script makes for each connection."""

    def hear(self, pcm: bytes) -> None:
        """More sound: 16 kHz mono s16le, 20 ms as a rule. In the connection's thread; what comes meanwhile is
        kept by the system, and waiting for it is this recogniser's delay."""

    def close(self) -> None:
        """The other end hung up, or is gone. No :meth:`hear` follows."""


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every script is started with. A script may add its own before it parses them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default="", metavar="DIR", help="folder of the model")
    parser.add_argument("--hangover-ms", type=int, default=500, help="silence that ends a turn")
    parser.add_argument("--threads", type=int, default=1, help="threads of one decode")
    parser.add_argument("--language", default="auto", help="as ISO 639-1, or auto")
    return parser


def serve(make_session: Callable[[Tell], Session], facts: dict[str, object]) -> None:
    """Say that all is ready, and take sessions until this process is ended. Never returns.

    Call it when the models are loaded: what comes before is the cold start, what comes after is measured.

    Args:
        make_session: called for each connection, in its thread, with what to tell through.
        facts: what a reader needs to repeat the run: versions, settings. Fit for JSON, without secrets.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    ready = {"port": listener.getsockname()[1], "facts": facts, "says_ready": True}
    print(json.dumps(ready), flush=True)  # noqa: T201
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=run_session, args=(connection, make_session), daemon=True).start()


class _Teller:
    """Sends what a session tells; the lines of several threads do not mix."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection: socket.socket | None = connection
        self._lock = threading.Lock()

    def __call__(self, type: str, **fields: object) -> None:
        known = FIELDS.get(type)
        if known is None or not set(fields) <= set(known) or ("text" in known and "text" not in fields):
            raise ValueError(f"no such message: {type}({', '.join(fields)})")
        line = json.dumps({"type": type, **fields}) + "\n"
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(OSError):  # the other end is gone, as its reader finds out too
                    self._connection.sendall(line.encode())

    def end(self) -> None:
        """Say nothing any more."""
        with self._lock:
            self._connection = None


def run_session(connection: socket.socket, make_session: Callable[[Tell], Session]) -> None:
    """One session, from its first byte to its end: what :func:`serve` does with each connection."""
    tell = _Teller(connection)
    session: Session | None = None
    with connection:
        try:
            session = make_session(tell)
            tell("ready")
            _pump(connection, session)
        except Exception as error:  # whatever a recogniser raises ends its session, and no other
            traceback.print_exc()
            tell("failed", reason=f"{type(error).__name__} in the script; its standard error says where")
        tell.end()
    if session is not None:
        try:
            session.close()
        except Exception:
            traceback.print_exc()


def _pump(connection: socket.socket, session: Session) -> None:
    """Hand over what comes, until the other end hangs up or is gone."""
    while head := _exactly(connection, 4):
        (size,) = struct.unpack("<I", head)
        if size > MAX_PIECE or size % 2:
            raise ValueError(f"a piece of sound has {size} bytes")
        piece = _exactly(connection, size)
        if not piece:
            return
        session.hear(piece)


def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes; none where the other end is gone before."""
    pieces: list[bytes] = []
    while size:
        try:
            got = connection.recv(size)
        except OSError:
            return b""
        if not got:
            return b""
        pieces.append(got)
        size -= len(got)
    return b"".join(pieces)
