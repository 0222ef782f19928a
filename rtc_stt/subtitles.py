"""Finals as subtitle cues: SubRip and WebVTT."""

from __future__ import annotations

from rtc_stt.events import TranscriptFinal

__all__ = ["subtitle"]


def subtitle(final: TranscriptFinal, form: str, number: int) -> str:
    """One cue, ``form`` being ``srt`` or ``vtt``; a blank line follows it."""
    mark = "," if form == "srt" else "."
    span = f"{_clock(final.audio_start_ms, mark)} --> {_clock(final.audio_end_ms, mark)}"
    lines = [span, final.text, ""]
    return "\n".join([str(number), *lines] if form == "srt" else lines)


def _clock(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{ms:03}"
