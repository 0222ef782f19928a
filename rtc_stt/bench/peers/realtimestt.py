"""RealtimeSTT: its ``AudioToTextRecorder``, fed by ``feed_audio``, with realtime transcription.

Each session is a recorder, all in one process: each has a process of its own for finals, and a second model,
loaded from the same folder, for what it shows meanwhile.
"""

from __future__ import annotations

import logging
import os
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtc_stt.bench.peers import link
else:
    import link  # beside this script, in an environment that has no rtc_stt

__all__ = ["main"]

EARLY_S = 0.2
"""After so much silence the final is begun already (``early_transcription_on_silence``). Its documentation
says milliseconds, and its code (1.1.2) takes seconds."""

_making = threading.Lock()
"""Recorders are made one after the other: they start processes."""


class Recorder:
    """One session."""

    def __init__(self, tell: link.Tell, settings: dict[str, Any]) -> None:
        from RealtimeSTT import AudioToTextRecorder

        self._tell = tell
        self._is_open = True
        with _making:
            self._recorder = AudioToTextRecorder(
                on_realtime_transcription_update=self._show, on_recording_stop=self._stop, **settings
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self, pcm: bytes) -> None:
        """More sound."""
        self._recorder.feed_audio(pcm)

    def close(self) -> None:
        """The other end hung up."""
        self._is_open = False
        self._recorder.abort()
        self._recorder.shutdown()

    def _listen(self) -> None:
        while self._is_open:
            text = (self._recorder.text() or "").strip()
            if text:
                self._tell("final", text=text)

    def _show(self, text: str) -> None:
        if text.strip():
            self._tell("partial", text=text.strip())

    def _stop(self) -> None:
        self._tell("endpoint")


def main() -> None:
    """Read the options, then take sessions."""
    options = link.arguments(__doc__ or "").parse_args()
    # It has no option for it; CTranslate2 takes it from here, in the processes of finals too.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import RealtimeSTT

    _ = RealtimeSTT.AudioToTextRecorder  # its imports belong to the cold start
    settings = {
        "model": options.model,
        "realtime_model_type": options.model,
        "language": "" if options.language == "auto" else options.language,
        "device": "cpu",
        "compute_type": "int8",
        "beam_size": 1,
        "beam_size_realtime": 1,
        "use_microphone": False,
        "enable_realtime_transcription": True,
        "post_speech_silence_duration": options.hangover_ms / 1000,
        "early_transcription_on_silence": min(EARLY_S, options.hangover_ms / 2000),
        "spinner": False,
        "no_log_file": True,
        "level": logging.ERROR,
    }

    def session(tell: link.Tell) -> Recorder:
        return Recorder(tell, settings)

    packages = ("RealtimeSTT", "faster-whisper", "silero-vad", "ctranslate2")
    link.serve(
        session,
        {
            "packages": {name: version(name) for name in packages},
            **{
                name: value
                for name, value in settings.items()
                if name not in ("model", "realtime_model_type")
            },
            "level": "ERROR",
            "cpu_threads": options.threads,
            "hangover": f"post_speech_silence_duration={options.hangover_ms / 1000:g}",
            "detector": "sensitivities as they come; Silero from the silero-vad package",
            "partials": "on_realtime_transcription_update, with the same model",
            "sessions": "one process with a recorder for each session, and a process for each one's finals",
        },
    )


if __name__ == "__main__":
    main()
