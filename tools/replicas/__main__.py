"""Measure decodes on replicas: ``python -m tools.replicas COMMAND``. Each command is a module of its own."""

from __future__ import annotations

import sys

from rtc_stt.bench.clips import CLIPS
from tools.commands import Family

COMMANDS = ("overhead", "payload")

FAMILY = Family(
    "tools.replicas",
    __doc__,
    example="overhead --out docs/results/replica_overhead.json",
    prefix="replica_",
    clips=CLIPS,
)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
