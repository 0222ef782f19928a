"""What a measurement says: figures in few numbers, marks that were met or missed, and where it was made."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rtc_stt import demo_models
from rtc_stt.percentiles import nearest_rank

__all__ = ["Mark", "Outcome", "percentiles", "provenance", "rss_bytes"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure that may be at most so much. None where it could not be measured."""

    name: str
    value: float | None
    at_most: float

    @property
    def met(self) -> bool | None:
        """Whether it was met; None: not measured."""
        return None if self.value is None else self.value <= self.at_most

    def to_json(self) -> dict[str, float | bool | None]:
        """The mark without its name."""
        return {"value": self.value, "at_most": self.at_most, "met": self.met}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one part of a benchmark found."""

    figures: Mapping[str, Any]
    """Fit for JSON."""
    marks: tuple[Mark, ...] = field(default=())


def percentiles(values: Iterable[float], *, digits: int = 1) -> dict[str, float]:
    """p50, p95 and p99 by nearest rank, which never invents a value, and the count."""
    ordered = sorted(values)
    if not ordered:
        return {"n": 0}
    ranks = {f"p{p}": nearest_rank(ordered, p) for p in (50, 95, 99)}
    return {name: round(value, digits) for name, value in ranks.items()} | {"n": len(ordered)}


def rss_bytes() -> int:
    """Resident memory of this process (Linux; 0 where it cannot be read)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def provenance(clips: Path | None = None) -> dict[str, object]:
    """Machine, versions, models, commit and data: what a reader needs to repeat or doubt a figure.

    Args:
        clips: the folder of clips that were spoken.
    """
    packages = ("aiortc", "av", "ctranslate2", "faster-whisper", "numpy", "onnxruntime", "silero-vad")
    told: dict[str, object] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version()},
        "packages": {name: version(name) for name in packages},
        "models": {
            model.name: _digest(model.path / "model.bin")
            for model in (demo_models.FAST, demo_models.ACCURATE)
        },
    }
    if commit := _git("rev-parse", "--short", "HEAD"):
        told["commit"] = commit + ("+" if _git("status", "--porcelain") else "")
    if clips:
        told["clips"] = _digest(clips / "manifest.json")
    return told


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _git(*arguments: str) -> str:
    """What git says of the source tree; nothing where this is no checkout, or there is no git."""
    git = shutil.which("git")
    root = Path(__file__).parents[2]
    if git is None or not (root / ".git").exists():
        return ""
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [git, "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
