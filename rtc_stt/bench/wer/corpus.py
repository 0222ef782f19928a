"""Folders of recordings with transcripts, in the forms in which they are handed around.

A manifest comes from elsewhere, so it is believed nothing: what it names lies in its folder, every entry
has a text, sizes have bounds, and a message says in which line of which file something is wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtc_stt.errors import BadAudio

__all__ = ["SUFFIXES", "Corpus", "Recording", "load"]

SUFFIXES = (".flac", ".wav", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".webm", ".sph")
"""What is looked for beside a transcript; a manifest may name any file."""

MANIFESTS = ("manifest.json", "manifest.jsonl")

MAX_MANIFEST = 512 * 2**20
"""Bytes. The transcripts of 50,000 hours are less."""

MAX_TRANSCRIPT = 2**20
"""Bytes of one text: twenty hours of speech."""

MAX_RECORDINGS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """A file and what is said in it."""

    id: str
    """Unique in its corpus: the file's place in the folder."""
    path: Path
    text: str = field(repr=False)
    language: str | None = None
    """A code, where the manifest says it."""
    set: str = ""
    """A part of the corpus that is told apart from others; empty where there are none."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """All recordings of a folder."""

    folder: Path
    layout: str
    """``manifest``, ``librispeech`` or ``pairs``."""
    recordings: tuple[Recording, ...]

    def digest(self) -> str:
        """Of names, texts and sizes of the files: another corpus has another one."""
        told = hashlib.sha256()
        for recording in sorted(self.recordings, key=lambda r: r.id):
            size = recording.path.stat().st_size
            told.update(f"{recording.id}\0{recording.text}\0{size}\n".encode())
        return told.hexdigest()[:16]


def load(place: Path, limit: int | None = None) -> Corpus:
    """The recordings of a folder, or of a manifest.

    Args:
        place: a manifest, or a folder. A folder is read by its ``manifest.json`` or ``manifest.jsonl``, else
            in LibriSpeech's layout (``*.trans.txt``), else as pairs of sound and text.
        limit: at most so many, evenly chosen.

    Raises:
        BadAudio: there are none, or something is wrong with them. The message says what and where.
    """
    if place.is_file():
        folder = place.parent
        layout, found = "manifest", _manifest(place)
    elif place.is_dir():
        folder = place
        layout, found = _folder(place)
    else:
        raise BadAudio(f"{place}: no such folder or manifest")
    recordings = _unique(found, place)
    if not recordings:
        raise BadAudio(
            f"{place} has no recordings with transcripts. Known are a manifest.json or manifest.jsonl with "
            '{"audio": …, "text": …} in each line, LibriSpeech\'s *.trans.txt, and NAME.wav beside NAME.txt'
        )
    if not any(recording.text.strip() for recording in recordings):
        raise BadAudio(f"{place}: not one of its transcripts has a word")
    if limit and limit < len(recordings):
        recordings = [recordings[len(recordings) * i // limit] for i in range(limit)]
    return Corpus(folder, layout, tuple(recordings))


def _folder(folder: Path) -> tuple[str, Iterator[Recording]]:
    for name in MANIFESTS:
        if (folder / name).is_file():
            return "manifest", _manifest(folder / name)
    if transcripts := sorted(folder.rglob("*.trans.txt")):
        return "librispeech", _librispeech(folder, transcripts)
    return "pairs", _pairs(folder)


def _unique(found: Iterable[Recording], place: Path) -> list[Recording]:
    known: dict[str, Recording] = {}
    for recording in found:
        if recording.id in known:
            raise BadAudio(f"{place}: {recording.id} is there twice")
        known[recording.id] = recording
        if len(known) > MAX_RECORDINGS:
            raise BadAudio(f"{place}: more than {MAX_RECORDINGS} recordings; measure a part of them")
    return list(known.values())


# ── Manifests ────────────────────────────────────────────────────────────────


def _manifest(path: Path) -> Iterator[Recording]:
    """A JSON list (ours), or an object a line (NeMo's and others')."""
    text = _text(path, MAX_MANIFEST)
    if text.lstrip().startswith("["):
        entries: Any = _json(text, str(path))
        for number, entry in enumerate(entries, 1):
            yield _entry(entry, path.parent, f"{path}: entry {number}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _entry(_json(line, f"{path}:{number}"), path.parent, f"{path}:{number}")


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadAudio(f"{place}: this is no JSON") from error


def _entry(entry: Any, folder: Path, place: str) -> Recording:
    if not isinstance(entry, dict):
        raise BadAudio(f'{place}: expected an object such as {{"audio": "a.wav", "text": "…"}}')
    names = [name for name in ("audio", "audio_filepath", "file") if name in entry]
    if not names:
        raise BadAudio(f"{place}: it names no file: audio, audio_filepath or file")
    name, text = entry[names[0]], entry.get("text")
    if not isinstance(name, str) or not name or "\0" in name:
        raise BadAudio(f"{place}: {names[0]} is not the name of a file")
    if not isinstance(text, str):
        raise BadAudio(f"{place}: it has no text")
    if len(text.encode(errors="replace")) > MAX_TRANSCRIPT:
        raise BadAudio(f"{place}: its text is longer than {MAX_TRANSCRIPT} bytes")
    language, part = entry.get("language"), entry.get("set", "")
    if not (language is None or isinstance(language, str)) or not isinstance(part, str):
        raise BadAudio(f"{place}: language and set are text")
    if entry.get("offset"):
        raise BadAudio(f"{place}: it is a part of a file (offset), which is not read here: cut the file")
    path = _inside(folder, name, place)
    return Recording(_id(path, folder), path, text, language or None, part)


def _inside(folder: Path, name: str, place: str) -> Path:
    """What a manifest names, if it lies in its folder. A link in there is its owner's own."""
    root = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(root, name))
    if os.path.commonpath([root, path]) != root:
        raise BadAudio(f"{place}: {name} is outside of {folder}; put the manifest beside its recordings")
    if not os.path.isfile(path):
        raise BadAudio(f"{place}: there is no file {name}")
    return Path(path)


# ── Folders ──────────────────────────────────────────────────────────────────


def _librispeech(folder: Path, transcripts: Iterable[Path]) -> Iterator[Recording]:
    """``SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt``: in each line the name of a file and what is said in it.

    What lies above the speakers (``test-clean`` …) is the set.
    """
    for transcript in transcripts:
        above = transcript.parent.parent.parent
        part = above.relative_to(folder).as_posix() if above.is_relative_to(folder) else ""
        for number, line in enumerate(_text(transcript, MAX_MANIFEST).splitlines(), 1):
            name, _, text = line.strip().partition(" ")
            if not name:
                continue
            path = None if os.sep in name else _sound(transcript.parent / name)
            if path is None:
                raise BadAudio(f"{transcript}:{number}: there is no recording {name} ({', '.join(SUFFIXES)})")
            yield Recording(_id(path, folder), path, text.strip(), set="" if part == "." else part)


def _pairs(folder: Path) -> Iterator[Recording]:
    """``NAME.txt`` beside ``NAME.wav`` or the like. A sound or a text alone is not meant."""
    for transcript in sorted(folder.rglob("*.txt")):
        if path := _sound(transcript.with_suffix("")):
            part = transcript.parent.relative_to(folder).as_posix()
            text = " ".join(_text(transcript, MAX_TRANSCRIPT).split())
            yield Recording(_id(path, folder), path, text, set="" if part == "." else part)


def _sound(stem: Path) -> Path | None:
    """The recording of this name, whatever its form."""
    is_there: Callable[[Path], bool] = Path.is_file
    return next(filter(is_there, (stem.with_name(stem.name + suffix) for suffix in SUFFIXES)), None)


def _id(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, os.path.abspath(folder))).as_posix()


def _text(path: Path, most: int) -> str:
    try:
        if path.stat().st_size > most:
            raise BadAudio(f"{path}: it is larger than {most} bytes")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadAudio(f"{path}: {error.strerror or 'it cannot be read'}") from error
    except UnicodeDecodeError as error:
        raise BadAudio(f"{path}: it is not UTF-8") from error
