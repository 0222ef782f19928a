"""Measure telephony: ``python -m tools.telephony COMMAND``. Each command is a module of its own.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import os
import sys

from tools.commands import Family

COMMANDS = ("flood", "impairments", "latency", "load", "resample", "sequence", "timers", "vad")

FAMILY = Family(
    "tools.telephony",
    __doc__,
    example="resample --out docs/results/telephony_resample.json",
    prefix="telephony_",
)


def main() -> int:
    """Run one command."""
    # As in the server, and before numpy is imported: its BLAS has no threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return FAMILY.main(FAMILY.modules(COMMANDS))


if __name__ == "__main__":
    sys.exit(main())
