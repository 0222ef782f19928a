"""A model on a machine where several processes want it at once: fetched by one of them, checked once.

The first takes a lock, the others wait for it and find the model there. A folder with ``SHA256SUMS`` is
checked against it before it is used; that it was is remembered with the size and the time of each file, so
that only the first one after a change reads gigabytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

from rtc_stt.engines import store
from rtc_stt.engines.checksums import SUMS
from rtc_stt.engines.fetch import locate
from rtc_stt.errors import ModelError

__all__ = ["DEFAULT_DIR", "locate_once"]

DEFAULT_DIR = Path("~/.cache/rtc-stt/checked")


def locate_once(path_or_name: str, notes: Path | None = None) -> tuple[Path, str]:
    """The folder of a model, whole, and what to call it; see :func:`~rtc_stt.engines.fetch.locate`. It may
    take as long as a download.

    Args:
        notes: where locks and what was checked are kept; None: :data:`DEFAULT_DIR`.

    Raises:
        ModelError: likewise, or a file is not what its ``SHA256SUMS`` says.
    """
    notes = (notes or DEFAULT_DIR).expanduser()
    digest = hashlib.sha256(path_or_name.encode()).hexdigest()[:16]
    with _alone(notes, f"{digest}.lock"):
        folder, name = locate(path_or_name)
        if (folder / SUMS).is_file():
            _check(folder, notes / f"{digest}.checked")
    return folder, name


def _check(folder: Path, note: Path) -> None:
    state = _state(folder)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if note.read_text(encoding="utf-8") == state:
            return
    if bad := store.verify(folder):
        raise ModelError(
            f"files of the model in {folder} are missing or changed: {', '.join(bad)}. "
            "Fetch or copy it again."
        )
    with contextlib.suppress(OSError):  # it is checked again, then
        note.write_text(state, encoding="utf-8")


def _state(folder: Path) -> str:
    """Of all its files; what a link points to counts."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """One process of this machine at a time. Where nothing can be written nobody waits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / name).open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
