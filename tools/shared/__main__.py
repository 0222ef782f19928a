"""Measure what gateways share over Redis: ``python -m tools.shared COMMAND``. Each command is a module.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import sys

from tools.commands import Family

COMMANDS = ("limits",)

FAMILY = Family(
    "tools.shared", __doc__, example="limits --out docs/results/shared_limits.json", prefix="shared_"
)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
