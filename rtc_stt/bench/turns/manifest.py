"""A folder of turns: a ``turns.json`` and the recordings that it names.

Bring your own: nothing in the benchmark knows whose folder it is. ``docs/guides/turn-sets.md`` shows how.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtc_stt.audio import Samples, samples_to_ms
from rtc_stt.bench.turns.manifest_form import MAX_MS, parse
from rtc_stt.bench.turns.scene import Scene
from rtc_stt.errors import BadAudio
from rtc_stt.media import read_audio as decode

__all__ = ["TURNS", "digest", "load", "read_audio"]

TURNS = Path(__file__).resolve().parents[3] / "tests" / "turns"
"""Those of the repository. An installed package has none."""

NAMES = ("turns.json", "manifest.json")
"""The manifest; the second is the older form, of ``tests/clips``."""

MAX_BYTES = 64 * 2**20
"""Of a manifest: three hours of speech with all its words take 5 MB."""


@dataclass(frozen=True, slots=True)
class _Manifest:
    raw: bytes
    scenes: list[Scene]


def load(folder: Path = TURNS, sets: Sequence[str] = (), limit: int | None = None) -> list[Scene]:
    """The scenes of these sets, in the order in which they are named; all where none is.

    Args:
        limit: at most so many of each set, evenly chosen.

    Raises:
        BadAudio: the folder is no folder of turns, has no such set, or its manifest is wrong: the message
            names the scene, the turn and the field.
    """
    if limit is not None and limit < 1:
        raise BadAudio(f"a limit of {limit} scenes leaves nothing to measure: at least 1")
    scenes = _read(folder).scenes
    known = list(dict.fromkeys(scene.set for scene in scenes))
    chosen: list[Scene] = []
    for name in dict.fromkeys(sets or known):
        if name not in known:
            raise BadAudio(f"{folder} has no scenes of the set {name}, only {', '.join(sorted(known))}")
        of_set = [scene for scene in scenes if scene.set == name]
        step = max(1, len(of_set) // limit) if limit else 1
        chosen += of_set[::step][:limit]
    return chosen


def read_audio(scene: Scene) -> Samples:
    """All of a scene, 16 kHz mono, shape ``(n,)``.

    Raises:
        BadAudio: the file cannot be read, is longer than an hour, or ends before its last turn does.
    """
    chunks: list[Samples] = []
    length = 0
    path = _path(scene.folder.resolve(), scene)
    try:
        for chunk in decode(path):
            chunks.append(chunk)
            length += len(chunk)
            if samples_to_ms(length) > MAX_MS:
                raise BadAudio(
                    f"{path}: it is longer than {MAX_MS // 60_000} minutes: make several scenes of it"
                )
    except BadAudio as error:
        raise BadAudio(f"scene {scene.id}: {error}") from error
    end_ms = scene.turns[-1].end_ms
    if samples_to_ms(length) < end_ms:
        raise BadAudio(
            f"scene {scene.id}: its last turn ends at {end_ms} ms, but {scene.file} has only "
            f"{samples_to_ms(length)} ms of sound"
        )
    return np.concatenate(chunks)


def digest(folder: Path) -> str:
    """SHA-256 over the manifest and every file that it names, in hex: the same figures need the same data.

    Raises:
        BadAudio: as :func:`load`.
    """
    manifest = _read(folder)
    whole = hashlib.sha256(hashlib.sha256(manifest.raw).digest())
    for name in sorted({scene.file for scene in manifest.scenes}):
        try:
            with (folder / name).open("rb") as file:
                whole.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise BadAudio(f"{folder / name} cannot be read: {type(error).__name__}") from error
    return whole.hexdigest()


def _read(folder: Path) -> _Manifest:
    file = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if file is None:
        raise BadAudio(
            f"{folder} is no folder of turns: there is no {NAMES[0]} in it. The repository has one in "
            "tests/turns; name it, or your own, with --turns"
        )
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadAudio(f"{file} cannot be read: {type(error).__name__}") from error
    if len(raw) > MAX_BYTES:
        raise BadAudio(f"{file} is larger than {MAX_BYTES // 2**20} MB: split the folder")
    try:
        scenes = parse(text, folder)
        root = folder.resolve()
        for scene in scenes:
            _path(root, scene)
    except BadAudio as error:
        raise BadAudio(f"{file}: {error}") from error
    return _Manifest(raw, scenes)


def _path(root: Path, scene: Scene) -> Path:
    """Where its file is, which no link may lead out of the folder."""
    path = (root / scene.file).resolve()
    if not path.is_relative_to(root):
        raise BadAudio(f"scene {scene.id}: {scene.file} leads out of the folder")
    if not path.is_file():
        raise BadAudio(f"scene {scene.id}: {scene.file} is not there")
    return path
