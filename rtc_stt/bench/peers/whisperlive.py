"""WhisperLive: its ``TranscriptionServer`` with the faster_whisper backend, spoken to by its own protocol.

Server and clients are in this one process, the server as its ``run_server.py`` starts it: where the model is
named, there is one for all clients. It has no hangover: a segment is complete when its text has come out the
same again more than ``same_output_threshold`` times, with a wait of 100 ms after each.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtc_stt.bench.peers import link
else:
    import link  # beside this script, in an environment that has no rtc_stt

__all__ = ["main"]

RATE = 16_000
LOOK_MS = 250
"""About how long WhisperLive takes to look again at the same text: it waits 100 ms, and decodes 30 s."""

PIECE = RATE // 10
"""Samples sent at once. Its own client sends 4,096; fewer are heard sooner."""


class Transcript:
    """Every message holds the last segments again; each that is complete is news once."""

    def __init__(self) -> None:
        self._complete: set[tuple[str, str]] = set()

    def take(self, segment: dict[str, Any]) -> str:
        """``partial``, ``final``, or nothing where it is no news."""
        text = segment["text"].strip()
        if not text:
            return ""
        if not segment["completed"]:
            return "partial"
        if (key := (segment["start"], text)) in self._complete:
            return ""
        self._complete.add(key)
        return "final"


class Client:
    """One session: a client of the server."""

    def __init__(self, tell: link.Tell, port: int, language: str | None, threshold: int) -> None:
        from websockets.sync.client import connect

        self._tell = tell
        self._rest = b""
        self._transcript = Transcript()
        self._uid = str(uuid.uuid4())
        self._socket = connect(f"ws://127.0.0.1:{port}", max_size=None, compression=None)
        self._socket.send(json.dumps(self._wishes(language, threshold)))
        self._wait_until_ready()
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self, pcm: bytes) -> None:
        """More sound."""
        import numpy as np

        self._rest += pcm
        while len(self._rest) >= 2 * PIECE:
            piece, self._rest = self._rest[: 2 * PIECE], self._rest[2 * PIECE :]
            self._socket.send((np.frombuffer(piece, np.int16).astype(np.float32) / 32768).tobytes())

    def close(self) -> None:
        """The other end hung up."""
        self._socket.close()

    def _wishes(self, language: str | None, threshold: int) -> dict[str, object]:
        """What its own client sends first."""
        return {
            "uid": self._uid,
            "language": language,
            "task": "transcribe",
            "model": "small",  # the server's own model is taken in its place
            "use_vad": True,
            "send_last_n_segments": 10,
            "no_speech_thresh": 0.45,
            "clip_audio": False,
            "same_output_threshold": threshold,
        }

    def _wait_until_ready(self) -> None:
        while True:
            told = json.loads(self._socket.recv())
            if told.get("message") == "SERVER_READY":
                return
            if "status" in told:
                raise RuntimeError(f"the server refuses: {told['status']}")

    def _listen(self) -> None:
        for message in self._socket:
            told = json.loads(message)
            if told.get("status") == "ERROR":
                self._tell("failed", reason="the server tells an error; look at standard error")
            for segment in told.get("segments", ()):
                if news := self._transcript.take(segment):
                    self._tell(news, text=segment["text"].strip())


def _start_server(model: str) -> int:
    """Start it in a thread, and wait until its port is open."""
    from whisper_live.server import TranscriptionServer

    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    threading.Thread(
        target=TranscriptionServer().run,
        args=("127.0.0.1",),
        kwargs={
            "port": port,
            "backend": "faster_whisper",
            "faster_whisper_custom_model_path": model,
            "single_model": True,
            "max_clients": 1000,
            "max_connection_time": 24 * 3600,
        },
        daemon=True,
    ).start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return port
    raise SystemExit("WhisperLive's server did not start within 60 s")


def main() -> None:
    """Start the server, then take sessions."""
    options = link.arguments(__doc__ or "").parse_args()
    # As its --omp_num_threads does.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    language = None if options.language == "auto" else options.language
    threshold = max(1, options.hangover_ms // LOOK_MS - 1)
    port = _start_server(options.model)

    def session(tell: link.Tell) -> Client:
        return Client(tell, port, language, threshold)

    packages = ("whisper-live", "faster-whisper", "ctranslate2")
    link.serve(
        session,
        {
            "packages": {name: version(name) for name in packages},
            "backend": "faster_whisper",
            "beam_size": "5 (not an option of the server)",
            "compute_type": "int8",
            "cpu_threads": options.threads,
            "hangover": f"same_output_threshold={threshold} (10 as it comes): complete when the same "
            f"text has come {threshold + 1} more times, with a decode and 100 ms each",
            "detector": "use_vad=True, as its client has it",
            "partials": "its segment that is not complete",
            "pieces_ms": 1000 * PIECE // RATE,
            "sessions": "one process, one model with a lock (single_model), a client for each session",
        },
    )


if __name__ == "__main__":
    main()
