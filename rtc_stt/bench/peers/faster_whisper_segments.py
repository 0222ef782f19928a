"""faster-whisper with segments of a voice activity detector: what most people build first.

Silero's own streaming iterator (PyPI ``silero-vad``) says where speech starts and ends; a segment is
transcribed when it has ended, and each second before that for a partial. All sessions share one
``WhisperModel``, whose documented ``num_workers`` lets several threads decode at a time.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtc_stt.bench.peers import link
else:
    import link  # beside this script, in an environment that has no rtc_stt

__all__ = ["main"]

RATE = 16_000
WINDOW = 512
"""Samples that Silero takes at a time."""

PAD_MS = 200
"""Audio kept before the detector's start, so that no first syllable is clipped; its default is 30."""

PARTIAL_EVERY_S = 1.0


class Recogniser:
    """The one model, and how it is asked."""

    def __init__(self, model: str, language: str | None, threads: int, workers: int) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            model, device="cpu", compute_type="int8", cpu_threads=threads, num_workers=workers
        )
        self._language = language

    def text(self, audio: Any) -> str:
        """What is said in it: greedy, without time stamps, no second try at another temperature."""
        segments, _ = self._model.transcribe(
            audio,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments).strip()


def load_detector() -> Any:
    """Silero's ONNX model, a state of its own in it."""
    from silero_vad import load_silero_vad

    return load_silero_vad(onnx=True)


class Segments:
    """One session: the detector in the connection's thread, the model in one of its own."""

    def __init__(self, tell: link.Tell, recogniser: Recogniser, hangover_ms: int) -> None:
        from silero_vad import VADIterator

        self._tell = tell
        self._recogniser = recogniser
        self._detector = VADIterator(
            load_detector(), min_silence_duration_ms=hangover_ms, speech_pad_ms=PAD_MS
        )
        self._rest = b""
        self._before: deque[bytes] = deque(maxlen=PAD_MS * RATE // 1000 // WINDOW + 1)
        self._segment: bytearray | None = None
        self._since_partial = 0
        self._jobs: deque[tuple[str, bytes]] = deque()
        self._changed = threading.Condition()
        self._is_open = True
        threading.Thread(target=self._work, daemon=True).start()

    def hear(self, pcm: bytes) -> None:
        """More sound."""
        import numpy as np

        self._rest += pcm
        while len(self._rest) >= 2 * WINDOW:
            window, self._rest = self._rest[: 2 * WINDOW], self._rest[2 * WINDOW :]
            told = self._detector(np.frombuffer(window, np.int16).astype(np.float32) / 32768)
            self._take(window, told or {})

    def close(self) -> None:
        """The other end hung up."""
        with self._changed:
            self._is_open = False
            self._changed.notify()

    def _take(self, window: bytes, told: dict[str, int]) -> None:
        if self._segment is None:
            self._before.append(window)
            if "start" in told:
                self._segment = bytearray(b"".join(self._before))
                self._since_partial = 0
            return
        self._segment += window
        self._since_partial += WINDOW
        if "end" in told:
            self._tell("endpoint")
            self._ask("final", bytes(self._segment))
            self._segment = None
            self._before.clear()
        elif self._since_partial >= PARTIAL_EVERY_S * RATE:
            self._since_partial = 0
            self._ask("partial", bytes(self._segment))

    def _ask(self, kind: str, audio: bytes) -> None:
        """Partials that were not begun yet have been overtaken."""
        with self._changed:
            self._jobs = deque(job for job in self._jobs if job[0] == "final")
            self._jobs.append((kind, audio))
            self._changed.notify()

    def _work(self) -> None:
        import numpy as np

        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or not self._is_open)
                if not self._jobs:
                    return
                kind, audio = self._jobs.popleft()
            text = self._recogniser.text(np.frombuffer(audio, np.int16).astype(np.float32) / 32768)
            if text:
                self._tell(kind, text=text)
            elif kind == "final":
                self._tell("dropped", reason="no text")


def main() -> None:
    """Load the model, then take sessions."""
    parser = link.arguments(__doc__ or "")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    workers = max(1, (os.cpu_count() or 1) // options.threads)
    language = None if options.language == "auto" else options.language
    recogniser = Recogniser(options.model, language, options.threads, workers)
    load_detector()  # its import of torch belongs to the cold start

    def session(tell: link.Tell) -> Segments:
        return Segments(tell, recogniser, options.hangover_ms)

    link.serve(
        session,
        {
            "packages": {name: version(name) for name in ("faster-whisper", "silero-vad", "ctranslate2")},
            "beam_size": 1,
            "compute_type": "int8",
            "cpu_threads": options.threads,
            "num_workers": workers,
            "hangover": f"min_silence_duration_ms={options.hangover_ms}",
            "detector": f"silero-vad's VADIterator (ONNX), threshold 0.5, speech_pad_ms={PAD_MS}",
            "partials": f"the whole segment again every {PARTIAL_EVERY_S:g} s",
            "sessions": "one process, one model, a thread for each session",
        },
    )


if __name__ == "__main__":
    main()
