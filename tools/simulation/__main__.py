"""Hold the simulation against real runs: ``python -m tools.simulation COMMAND``."""

from __future__ import annotations

import sys

from rtc_stt.bench.clips import CLIPS
from tools.commands import Family

COMMANDS = ("check", "day", "fleet", "paced")

FAMILY = Family(
    "tools.simulation",
    __doc__,
    example="check --out docs/results/simulation_check.json",
    prefix="simulation_",
    clips=CLIPS,
)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
