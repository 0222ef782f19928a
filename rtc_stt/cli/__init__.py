"""The command ``rtc-stt``: reads the command line, and starts one of the commands beside this file.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

from rtc_stt import __version__
from rtc_stt.errors import RtcSttError
from rtc_stt.memory import limit_arenas

__all__ = ["main"]

COMMANDS = {
    "demo": "demo",
    "serve": "serve",
    "primary": "primary",
    "fallback": "fallback",
    "transcribe": "transcribe",
    "bench": "bench",
    "plan": "plan",
    "workers": "workers",
    "models": "models",
    "doctor": "doctor",
    "health": "health",
    "config": "config_check",
    "canary": "canary",
}
"""The module of each, in the order in which the help tells them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    # Before numpy is imported anywhere: threads of its BLAS would fight the decode threads for the cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    limit_arenas()
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="rtc-stt",
        description="Self-hosted realtime speech-to-text for voice agents.",
        epilog="Try it: rtc-stt demo",
    )
    parser.add_argument("--version", action="version", version=f"rtc-stt {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in _needed(arguments):
        import_module(f"rtc_stt.cli.{module}").add_parser(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except RtcSttError as error:
        print(f"rtc-stt: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _needed(arguments: Sequence[str]) -> Iterable[str]:
    """The module of the command that is named, for those of the others cost half a second of a core; all
    of them where it is none."""
    if arguments and arguments[0] in COMMANDS:
        return [COMMANDS[arguments[0]]]
    return COMMANDS.values()
