"""A copy of this tree whose hot modules are compiled, to be measured and tested beside the one in Python.

``python -m tools.compiled build/compiled``, or ``make compiled``. What is compiled stands in ``setup.py``; a
server gets the same by ``RTC_STT_COMPILE=1 pip install .`` (``docs/guides/compiled.md``).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["build", "main"]

ROOT = Path(__file__).parents[1]


def build(folder: Path, modules: str = "1") -> None:
    """Make it anew.

    Args:
        modules: see ``CHOSEN`` in ``setup.py``.

    Raises:
        subprocess.CalledProcessError: this is no git checkout, or there is no C compiler, or it fails.
    """
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    shutil.rmtree(folder, ignore_errors=True)
    # A clone, so that results which are taken there know of which commit they are; and what is not committed.
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(folder)], check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=folder,
        check=True,
        env=os.environ | {"RTC_STT_COMPILE": modules},
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print("This takes two minutes.", file=sys.stderr, flush=True)
    build(options.folder)
    print(f"Run from {options.folder}: PYTHONPATH={options.folder.resolve()}", file=sys.stderr)


if __name__ == "__main__":
    main()
