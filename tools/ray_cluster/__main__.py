"""Measure decode workers on a Ray cluster of this machine: ``python -m tools.ray_cluster COMMAND``.

Each prints its result, and with ``--out`` writes it as JSON.
"""

from __future__ import annotations

import os
import sys

from tools.commands import Family

COMMANDS = ("handle", "head")

FAMILY = Family("tools.ray_cluster", __doc__, example="head --out docs/results/ray_head.json", prefix="ray_")

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as rtc-stt does, and as Ray does for its workers
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
