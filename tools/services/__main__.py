"""Measure the HTTP services: ``python -m tools.services COMMAND``. Each command is a module of its own.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
``all`` makes every committed result anew, and the tables of the documents with them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rtc_stt.bench.clips import CLIPS
from tools.commands import Errand, Family
from tools.live_line.table import write_tables

COMMANDS = ("load", "memory", "soak")
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"

FAMILY = Family("tools.services", __doc__, example="soak --requests 2000 --out soak.json", clips=CLIPS)


def main() -> int:
    """Run one command, or all of them."""
    everything = Errand(
        "all", "every committed result anew, at full length, and the tables with them", run_all
    )
    return FAMILY.main([*FAMILY.modules(COMMANDS), everything])


def run_all(_options: argparse.Namespace) -> int:
    """Every committed result."""
    commands = FAMILY.modules(COMMANDS)
    codes = [
        FAMILY.main(commands, [name, "--out", str(RESULTS / f"services_{name}.json")]) for name in COMMANDS
    ]
    write_tables()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
