"""The committed test clips, and what a measurement says of itself."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import Samples
from rtc_stt.media import read_audio

__all__ = ["CLIPS", "Clip", "load", "provenance"]

CLIPS = Path(__file__).resolve().parents[2] / "tests" / "clips"


@dataclass(frozen=True)
class Clip:
    """One recording with known text and known times of speech."""

    id: str
    file: str
    set: str
    text: str
    language: str
    speech_start_ms: int
    speech_end_ms: int

    def audio(self) -> Samples:
        """16 kHz mono, shape ``(n,)``."""
        return np.concatenate(list(read_audio(CLIPS / self.file)))


def load(*sets: str, limit: int | None = None) -> list[Clip]:
    """The clips of these sets (all where none is named), at most ``limit`` of each, evenly chosen."""
    entries = json.loads((CLIPS / "manifest.json").read_text(encoding="utf-8"))
    chosen: list[Clip] = []
    for name in sets or sorted({entry["set"] for entry in entries}):
        clips = [
            Clip(**{field: entry[field] for field in Clip.__dataclass_fields__})
            for entry in entries
            if entry["set"] == name
        ]
        step = max(1, len(clips) // limit) if limit else 1
        chosen += clips[::step][:limit]
    return chosen


def provenance() -> dict[str, object]:
    """Machine, versions, models, commit and data: what a reader needs to repeat or doubt a figure."""
    packages = ("aiortc", "av", "ctranslate2", "faster-whisper", "numpy", "onnxruntime", "silero-vad")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
        "packages": {name: version(name) for name in packages},
        "models": {
            model.name: _digest(model.path / "model.bin")
            for model in (demo_models.FAST, demo_models.ACCURATE)
        },
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "clips": _digest(CLIPS / "manifest.json"),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
