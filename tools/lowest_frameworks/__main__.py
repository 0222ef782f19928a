"""Run tests with the lowest supported versions of the frameworks.

``python -m tools.lowest_frameworks tests/plugins tests/e2e/test_pipecat.py``: what follows is pytest's.
The environment is made in ``build/`` when it is first needed.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tools.lowest_frameworks.environment import INSIDE, ROOT, make


def main(arguments: list[str]) -> int:
    """pytest's exit code; 2 where nothing is to be run."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    python = make()
    environment = {**os.environ, INSIDE: "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=environment,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
