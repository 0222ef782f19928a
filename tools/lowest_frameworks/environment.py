"""The environment: what ``lowest.txt`` names, and everything else from the environment that this runs in."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

__all__ = ["INSIDE", "LOWEST", "PLACE", "make", "pinned"]

ROOT = Path(__file__).resolve().parents[2]
LOWEST = Path(__file__).with_name("lowest.txt")
PLACE = ROOT / "build" / "lowest_frameworks"

INSIDE = "RTC_STT_LOWEST_FRAMEWORKS"
"""Set to 1 for what runs in there."""


def pinned(text: str) -> dict[str, str]:
    """Names and versions of a requirements file.

    >>> pinned("# why\\nx-y==1.2  # what for\\n")
    {'x-y': '1.2'}
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return dict(tuple(line.split("==")) for line in lines if line)  # type: ignore[misc]


def make(place: Path = PLACE, lowest: Path = LOWEST) -> Path:
    """Its Python; made anew where ``lowest.txt`` or this Python has changed.

    Raises:
        subprocess.CalledProcessError: pip cannot install them.
    """
    python = place / "bin" / "python"
    here = sysconfig.get_path("purelib")
    told = lowest.read_text(encoding="utf-8") + sys.version + here
    digest = hashlib.sha256(told.encode()).hexdigest()
    stamp = place / "made-of"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return python
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(lowest)], check=True)
    # After the packages of its own, and with what the .pth files there add.
    own = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(own, "beneath.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    stamp.write_text(digest, encoding="utf-8")
    return python
