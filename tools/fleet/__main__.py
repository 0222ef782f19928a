"""Break each part of a fleet under sessions that speak: ``python -m tools.fleet COMMAND``. Each is a module.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import sys

from rtc_stt.bench.clips import CLIPS
from tools.commands import Family

COMMANDS = ("faults", "scale")

FAMILY = Family("tools.fleet", __doc__, example="faults --out docs/results/fleet_faults.json", clips=CLIPS)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
