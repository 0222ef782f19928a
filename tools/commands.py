"""Measurements with a command line in common: ``python -m PACKAGE COMMAND [--out FILE]``.

A command is a module of the package with ``HELP``, ``add_arguments(parser)`` and ``measure(options)``, which
gives the result: a JSON object, with ``marks`` where something is to be reached. The result is printed, with
``--out`` written too, and each mark is told on standard error; the exit code is 1 where one was missed. A
``__main__`` that has nothing more to say is::

    FAMILY = Family("tools.PACKAGE", __doc__, example="NAME --out docs/results/NAME.json")
    COMMANDS = ("NAME", …)

    if __name__ == "__main__":
        sys.exit(FAMILY.main(FAMILY.modules(COMMANDS)))
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Command", "Errand", "Family"]

Options = argparse.Namespace


def _nothing(_parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


@dataclass(frozen=True, slots=True)
class Command:
    """One measurement."""

    name: str
    help: str
    measure: Callable[[Options], Mapping[str, Any]]
    """Gives the result. Its ``marks`` are by name: whether each was met, or an object with ``met``, ``value``
    and ``at_most``."""
    add_arguments: Callable[[argparse.ArgumentParser], None] = _nothing


@dataclass(frozen=True, slots=True)
class Errand:
    """A command that measures nothing itself."""

    name: str
    help: str
    run: Callable[[Options], int]
    """Gives the exit code."""
    add_arguments: Callable[[argparse.ArgumentParser], None] = _nothing


@dataclass(frozen=True, slots=True)
class Family:
    """The measurements of one package."""

    package: str
    """As Python knows it."""
    about: str | None
    """Its first line says what is measured."""
    example: str
    """Of a call, without ``python -m PACKAGE``."""
    prefix: str = ""
    """Of the name of a result."""
    clips: Path | None = None
    """The recordings of which a result tells the digest."""

    def modules(self, names: Iterable[str]) -> list[Command | Errand]:
        """The commands that are modules of the package."""
        found = ((name, import_module(f"{self.package}.{name}")) for name in names)
        return [Command(name, module.HELP, module.measure, module.add_arguments) for name, module in found]

    def main(self, commands: Iterable[Command | Errand], arguments: Sequence[str] | None = None) -> int:
        """Run what the command line asks for; gives the exit code.

        Args:
            arguments: in place of those of the process.
        """
        options = self._parser(commands).parse_args(arguments)
        code: int = options.run(options)
        return code

    def _parser(self, commands: Iterable[Command | Errand]) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python -m {self.package}",
            description=self.about.splitlines()[0] if self.about else None,
            epilog=f"example:\n  python -m {self.package} {self.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parts = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
        for command in commands:
            part = parts.add_parser(command.name, help=command.help.replace("%", "%%"))
            if isinstance(command, Errand):
                part.set_defaults(run=command.run)
            else:
                part.add_argument("--out", type=Path, help="write the result here as JSON")
                part.set_defaults(run=self._runner(command))
            command.add_arguments(part)
        return parser

    def _runner(self, command: Command) -> Callable[[Options], int]:
        def run(options: Options) -> int:
            return self._report(command.name, command.measure(options), options.out)

        return run

    def _report(self, name: str, result: Mapping[str, Any], out: Path | None) -> int:
        from rtc_stt.bench.result import provenance  # whoever runs this may have a word about numpy first

        whole = {
            "measurement": f"{self.prefix}{name}",
            **result,
            "provenance": provenance(self.clips),
        }
        text = json.dumps(whole, indent=1, ensure_ascii=False)
        print(text)
        if out:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text + "\n", encoding="utf-8")
        missed = [mark for mark, told in result.get("marks", {}).items() if not _tell(mark, told)]
        return 1 if missed else 0


def _tell(mark: str, told: bool | Mapping[str, Any]) -> bool:
    """Say whether a mark was met; gives that."""
    if isinstance(told, Mapping):
        met, figures = bool(told["met"]), f": {told['value']} (at most {told['at_most']})"
    else:
        met, figures = told, ""
    print(f"{'met   ' if met else 'MISSED'} {mark}{figures}", file=sys.stderr)
    return met
