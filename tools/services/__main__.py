"""Measure the HTTP services: ``python -m tools.services COMMAND``. Each command is a module of its own.

Each prints its result, and with ``--out`` writes it as JSON; the exit code is 1 where a mark was missed.
``all`` makes every committed result anew, and the tables of the documents with them.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from rtc_stt.bench.clips import CLIPS
from rtc_stt.bench.result import provenance
from tools.live_line.table import DOCUMENTS, with_table

COMMANDS = ("load", "memory", "soak")
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


def main() -> int:
    """Run one command, or all of them."""
    parser = _parser()
    options = parser.parse_args()
    if options.command != "all":
        return _run(options)
    codes = [
        _run(parser.parse_args([name, "--out", str(RESULTS / f"services_{name}.json")])) for name in COMMANDS
    ]
    for document in DOCUMENTS:
        document.write_text(with_table(document), encoding="utf-8")
    return max(codes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.services",
        description=__doc__.splitlines()[0] if __doc__ else None,
        epilog="example:\n  python -m tools.services soak --requests 2000 --out soak.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in COMMANDS:
        module = import_module(f"tools.services.{name}")
        command = commands.add_parser(name, help=module.HELP.replace("%", "%%"))
        command.add_argument("--out", type=Path, help="write the result here as JSON")
        command.set_defaults(measure=module.measure)
        module.add_arguments(command)
    commands.add_parser("all", help="every committed result anew, at full length, and the tables with them")
    return parser


def _run(options: argparse.Namespace) -> int:
    result = options.measure(options)
    whole = {"measurement": options.command, **result}
    whole["provenance"] = provenance(CLIPS)
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


if __name__ == "__main__":
    sys.exit(main())
