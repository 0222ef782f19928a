"""Measure decode workers on a Ray cluster of this machine: ``python -m tools.ray_cluster COMMAND``.

Each prints its result, and with ``--out`` writes it as JSON.
"""

from __future__ import annotations

import sys

from tools.commands import Family

COMMANDS = ("head",)

FAMILY = Family("tools.ray_cluster", __doc__, example="head --out docs/results/ray_head.json", prefix="ray_")

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
