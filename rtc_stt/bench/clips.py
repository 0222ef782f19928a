"""Recordings with known text and known times of speech: a folder with a ``manifest.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples, ms_to_samples
from rtc_stt.errors import BadAudio
from rtc_stt.media import read_audio

__all__ = ["CLIPS", "Clip", "load", "unbroken"]

CLIPS = Path(__file__).resolve().parents[2] / "tests" / "clips"
"""Those of the repository. An installed package has none."""

GAP_MS = 100
"""Between the sentences of unbroken speech: no detector takes this for a pause."""


@dataclass(frozen=True)
class Clip:
    """One recording."""

    id: str
    file: str
    set: str
    text: str
    language: str
    speech_start_ms: int
    speech_end_ms: int
    folder: Path = field(default=CLIPS, repr=False)

    def audio(self) -> Samples:
        """16 kHz mono, shape ``(n,)``.

        Raises:
            BadAudio: the file cannot be read.
        """
        return np.concatenate(list(read_audio(self.folder / self.file)))

    def speech(self) -> Samples:
        """The audio from the true start to the true end of its speech."""
        return self.audio()[ms_to_samples(self.speech_start_ms) : ms_to_samples(self.speech_end_ms)]


def load(*sets: str, limit: int | None = None, folder: Path = CLIPS) -> list[Clip]:
    """The clips of these sets (all where none is named), at most ``limit`` of each, evenly chosen.

    Raises:
        BadAudio: the folder is no folder of clips.
    """
    entries = _entries(folder)
    known = sorted({entry["set"] for entry in entries})
    chosen: list[Clip] = []
    for name in sets or known:
        if name not in known:
            raise BadAudio(f"{folder} has no clips of the set {name}, only {', '.join(known)}")
        clips = [_clip(entry, folder) for entry in entries if entry["set"] == name]
        step = max(1, len(clips) // limit) if limit else 1
        chosen += clips[::step][:limit]
    return chosen


def unbroken(clips: Sequence[Clip], seconds: float) -> tuple[Samples, str]:
    """One after the other with gaps of 100 ms, over and over: speech without a pause, and what is said.

    It is so long, or longer by at most one clip. Shape ``(n,)``.
    """
    gap = np.zeros(ms_to_samples(GAP_MS), np.float32)
    known: dict[str, Samples] = {}
    parts: list[Samples] = []
    texts: list[str] = []
    left = round(seconds * SAMPLE_RATE)
    for clip in cycle(clips):
        if left <= 0:
            break
        if clip.id not in known:
            known[clip.id] = clip.speech()
        parts += [known[clip.id], gap]
        texts.append(clip.text)
        left -= len(known[clip.id]) + len(gap)
    return np.concatenate(parts), " ".join(texts)


def _entries(folder: Path) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadAudio(
            f"{folder} is no folder of clips: its manifest.json cannot be read "
            f"({type(error).__name__}). The repository has one in tests/clips; name it with --clips"
        ) from error
    return entries


def _clip(entry: dict[str, Any], folder: Path) -> Clip:
    fields = [name for name in Clip.__dataclass_fields__ if name != "folder"]
    return Clip(**{name: entry[name] for name in fields}, folder=folder)
