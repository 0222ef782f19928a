"""Models from a web server into a folder: broken downloads go on where they were, and nothing is used
unchecked.

A model is a folder of files with ``SHA256SUMS`` beside them. Files are written as ``NAME.part`` and get their
name when their digest is right, so a file that has its name is whole, whatever happened.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from rtc_stt.engines.checksums import MAX_SUMS_BYTES, SUMS, read_sums, split_pin, write_sums
from rtc_stt.errors import ModelError

__all__ = ["DEFAULT_DIR", "digest_of", "fetch", "make_sums", "verify"]

DEFAULT_DIR = Path("~/.cache/rtc-stt/models")
BLOCK = 1024 * 1024
TIMEOUT_S = 30.0
"""Without a byte."""

ATTEMPTS, PAUSE_S = 5, 2.0
"""In a row without progress, and how long is waited after the first; then twice as long each time."""


def fetch(url: str, into: Path | None = None, *, progress: bool = True, pause_s: float = PAUSE_S) -> Path:
    """The folder of the model at ``url``, fetched where it is not here yet; every file has been checked.

    Args:
        url: of the folder, ``http`` or ``https``; its fragment may pin the digest of ``SHA256SUMS``.
        into: where models go, a folder each; None: :data:`DEFAULT_DIR`.

    Raises:
        ModelError: it cannot be fetched, or is not what its digests say.
    """
    address, pin = split_pin(url)
    name = urlsplit(address).path.rstrip("/").rsplit("/", 1)[-1]
    if urlsplit(address).scheme not in ("http", "https") or not name or name.startswith("."):
        raise ModelError("the URL of a model is http or https, and ends in the name of its folder")
    folder = (into or DEFAULT_DIR).expanduser() / f"{name}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        sums = _fetch_sums(address, pin, folder, pause_s)
        for file, digest in sums.items():
            if not (folder / file).is_file():
                _fetch_file(address, folder / file, digest, progress=progress, pause_s=pause_s)
    return folder


def verify(folder: Path) -> list[str]:
    """Names of the files of a model that are missing or not what its ``SHA256SUMS`` says.

    Raises:
        ModelError: there is no such folder, or no ``SHA256SUMS`` in it.
    """
    try:
        sums = read_sums((folder / SUMS).read_text())
    except (OSError, UnicodeDecodeError):
        raise ModelError(
            f"there is no {SUMS} in {folder}: where the files are known to be right, "
            "rtc-stt models sum FOLDER writes it"
        ) from None
    return [name for name, digest in sums.items() if digest_of(folder / name) != digest]


def make_sums(folder: Path) -> Path:
    """Write ``SHA256SUMS`` for the files of a folder as they are now.

    Raises:
        ModelError: there is no such folder, or it holds no model.
    """
    files = sorted(
        path for path in folder.glob("*") if path.is_file() and path.name[0] != "." and path.name != SUMS
    )
    if not (folder / "model.bin").is_file():
        raise ModelError(f"{folder} is no CTranslate2 model folder: it has no model.bin")
    sums = {path.name: digest_of(path) or "" for path in files if path.suffix != ".part"}
    (folder / SUMS).write_text(write_sums(sums))
    return folder / SUMS


def digest_of(path: Path) -> str | None:
    """SHA-256 of a file in hex; None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Several services that share a volume wait for each other."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_sums(address: str, pin: str | None, folder: Path, pause_s: float) -> dict[str, str]:
    """What the model is made of. Where the server is away, what was fetched before will do."""
    path, kept = folder / SUMS, None
    if path.is_file():
        kept = path.read_bytes()
        if pin and hashlib.sha256(kept).hexdigest() == pin:
            return read_sums(kept.decode())
    try:
        data = _read_small(address + SUMS, pause_s)
    except ModelError:
        if kept is None or pin:
            raise
        return read_sums(kept.decode())
    if pin and hashlib.sha256(data).hexdigest() != pin:
        raise ModelError(f"{SUMS} at {address} is not the one that #sha256= pins")
    sums = read_sums(data.decode("utf-8", "replace"))
    before = read_sums(kept.decode()) if kept is not None else {}
    for name, digest in before.items():  # another version is there now
        if sums.get(name) != digest:
            (folder / name).unlink(missing_ok=True)
            (folder / f"{name}.part").unlink(missing_ok=True)
    path.write_bytes(data)
    return sums


def _read_small(url: str, pause_s: float) -> bytes:
    for attempt in range(ATTEMPTS):
        try:
            with _open(url) as answer:
                data: bytes = answer.read(MAX_SUMS_BYTES + 1)
        except OSError as error:
            _give_up_on(error, url, attempt, pause_s)
            continue
        if len(data) > MAX_SUMS_BYTES:
            raise ModelError(f"{url} is too long to be what it is called")
        return data
    raise AssertionError("the last attempt raises")


def _fetch_file(address: str, path: Path, digest: str, *, progress: bool, pause_s: float) -> None:
    """Download one file, go on after breaks, check it, and give it its name."""
    part, attempt = path.with_name(f"{path.name}.part"), 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _download(address + path.name, part, progress)
            break
        except OSError as error:
            grown = part.exists() and part.stat().st_size > before
            attempt = 0 if grown else attempt + 1
            _give_up_on(error, address + path.name, attempt, pause_s)
    if digest_of(part) != digest:
        part.unlink()
        raise ModelError(f"{path.name} from {address} is not what {SUMS} says; it was thrown away, try again")
    os.replace(part, path)


def _download(url: str, part: Path, progress: bool) -> None:
    """Append to ``part`` what is missing.

    Raises:
        OSError: it broke off; what has come is kept.
    """
    have = part.stat().st_size if part.exists() else 0
    try:
        answer = _open(url, {"Range": f"bytes={have}-"} if have else {})
    except urllib.error.HTTPError as error:
        if error.code == 416:  # all is here (RFC 9110 §15.5.17)
            return
        raise
    with answer:
        if have and answer.status != 206:  # it knows no ranges
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=not progress
            ) as bar,
        ):
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError("the download broke off")


def _open(url: str, headers: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "rtc-stt", **(headers or {})})  # noqa: S310
    return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 — the scheme was looked at


def _give_up_on(error: OSError, url: str, attempt: int, pause_s: float) -> None:
    """Wait before the next attempt, or raise."""
    if isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429):
        raise ModelError(f"{url} cannot be fetched: the server answers {error.code}") from error
    if attempt >= ATTEMPTS - 1:
        raise ModelError(
            f"{url} cannot be fetched ({type(error).__name__}); what has come is kept, try again"
        ) from error
    time.sleep(pause_s * 2**attempt)
