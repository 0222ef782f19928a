"""Measure telephony: ``python -m tools.telephony COMMAND``. Each command is a module of its own.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path

COMMANDS = ("flood", "latency", "load", "resample", "sequence", "timers", "vad")


def main() -> int:
    """Run one command."""
    # As in the server, and before numpy is imported: its BLAS has no threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rtc_stt.bench.result import provenance

    parser = argparse.ArgumentParser(
        prog="python -m tools.telephony",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="example:\n  python -m tools.telephony resample --out docs/results/telephony_resample.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = import_module(f"tools.telephony.{name}")
        command = commands.add_parser(name, help=module.HELP.replace("%", "%%"))
        command.add_argument("--out", type=Path, help="write the result here as JSON")
        command.set_defaults(measure=module.measure)
        module.add_arguments(command)
    options = parser.parse_args()
    result = options.measure(options)
    whole = {"measurement": f"telephony_{options.command}", **result, "provenance": provenance()}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    marks = result.get("marks", {})
    for mark, met in marks.items():
        print(f"{'met   ' if met else 'MISSED'} {mark}", file=sys.stderr)
    return 0 if all(marks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
