"""``SHA256SUMS``: which files a model has, and what is in them. Pure.

The file is what ``sha256sum * > SHA256SUMS`` writes, so that any machine can make and check it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rtc_stt.errors import ModelError

__all__ = ["MAX_SUMS_BYTES", "SUMS", "read_sums", "split_pin", "write_sums"]

SUMS = "SHA256SUMS"
MAX_SUMS_BYTES = 64 * 1024
MAX_FILES = 64

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([A-Za-z0-9][A-Za-z0-9._-]{0,127})")
"""A digest, how it was read, and a name; a name with a folder in it would be written elsewhere."""

_PIN = re.compile(r"sha256=([0-9a-f]{64})")


def read_sums(text: str) -> dict[str, str]:
    """Digests by file name.

    Raises:
        ModelError: a line is something else, or there are too many or none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None or match[2] == SUMS:
            raise ModelError(f"line {number} of {SUMS} is not a digest and the name of a file")
        found[match[2]] = match[1]
    if not 0 < len(found) <= MAX_FILES:
        raise ModelError(f"{SUMS} names {len(found)} files; a model has a few")
    return found


def write_sums(sums: Mapping[str, str]) -> str:
    """What :func:`read_sums` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def split_pin(url: str) -> tuple[str, str | None]:
    """A URL of a model's folder, with one slash at its end, and the digest of its ``SHA256SUMS`` where the
    fragment pins it: ``https://models.example/small/#sha256=…``.

    Raises:
        ModelError: the fragment is something else.
    """
    address, hash_sign, fragment = url.partition("#")
    match = _PIN.fullmatch(fragment)
    if hash_sign and match is None:
        raise ModelError("what follows # in the URL of a model is sha256= and 64 hex digits")
    return address.rstrip("/") + "/", match[1] if match else None
