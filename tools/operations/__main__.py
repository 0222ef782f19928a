"""Show that operating it loses nothing: ``python -m tools.operations COMMAND``. Each command is a module.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
"""

from __future__ import annotations

import sys

from rtc_stt.bench.clips import CLIPS
from tools.commands import Family

COMMANDS = ("image", "rolling", "startup")
COMMANDS: tuple[str, ...] = (
    "image",
    "rolling",
    "startup",
)
"""Modules of this package, each with ``HELP``, ``add_arguments(parser)`` and ``measure(options)``."""


def main() -> int:
    """Run one command."""
    options = _parser().parse_args()
    result = options.measure(options)
    whole = {"measurement": options.command, **result, "provenance": provenance(CLIPS)}
    text = json.dumps(whole, indent=1, ensure_ascii=False)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    marks = result["marks"]
    for name, mark in marks.items():
        said = "met   " if mark["met"] else "MISSED"
        print(f"{said} {name}: {mark['value']} (at most {mark['at_most']})", file=sys.stderr)
    return 0 if all(mark["met"] for mark in marks.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.operations",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="example:\n  python -m tools.operations rolling --out docs/results/rolling.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = import_module(f"tools.operations.{name}")
        command = commands.add_parser(name, help=module.HELP.replace("%", "%%"))
        command.add_argument("--out", type=Path, help="write the result here as JSON")
        command.set_defaults(measure=module.measure)
        module.add_arguments(command)
    return parser

FAMILY = Family("tools.operations", __doc__, example="rolling --out docs/results/rolling.json", clips=CLIPS)

if __name__ == "__main__":
    sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
