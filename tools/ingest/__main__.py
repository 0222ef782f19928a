"""Measure the ingest: ``python -m tools.ingest COMMAND``. Each command is a module of its own.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import sys

from tools.commands import Family

COMMANDS = ("cycles", "hostile", "loss", "receive", "soak", "workers")

FAMILY = Family("tools.ingest", __doc__, example="loss --out docs/results/loss.json")


def main() -> int:
    """Run one command."""
    return FAMILY.main(FAMILY.modules(COMMANDS))


if __name__ == "__main__":
    sys.exit(main())
