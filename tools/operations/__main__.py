"""Show that operating it loses nothing: ``python -m tools.operations COMMAND``. Each command is a module.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import sys

from rtc_stt.bench.clips import CLIPS
from tools.commands import Family

COMMANDS = ("image", "rolling", "startup")

FAMILY = Family("tools.operations", __doc__, example="rolling --out docs/results/rolling.json", clips=CLIPS)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
