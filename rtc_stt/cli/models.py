"""``rtc-stt models``: fetch models ahead, and check that they are what they should be."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtc_stt.cli import common
from rtc_stt.engines import store
from rtc_stt.engines.fetch import locate

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command and its parts."""
    models = common.add_parser(
        commands,
        "models",
        lambda options: 2,
        help="fetch models ahead, and check them",
        example="rtc-stt models fetch small medium",
    )
    parts = models.add_subparsers(required=True, metavar="fetch|verify|sum")
    fetch = common.add_parser(
        parts,
        "fetch",
        run_fetch,
        help="fetch models by name or from a web server, and print their folders",
        example="rtc-stt models fetch https://models.example/small/ --into /models",
    )
    fetch.add_argument(
        "models", nargs="+", metavar="NAME|URL", help="such as small, or a folder with SHA256SUMS"
    )
    fetch.add_argument(
        "--into", type=Path, metavar="DIR", help=f"for those from URLs (default: {store.DEFAULT_DIR})"
    )
    fetch.add_argument("--no-progress", action="store_true", help="no progress bars")
    verify = common.add_parser(
        parts,
        "verify",
        run_verify,
        help="check the files of model folders against their SHA256SUMS",
        example="rtc-stt models verify /models/small",
    )
    verify.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    sums = common.add_parser(
        parts,
        "sum",
        run_sum,
        help="write SHA256SUMS for a model folder as it is now",
        example="rtc-stt models sum /models/small",
    )
    sums.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")


def run_fetch(options: argparse.Namespace) -> int:
    """Fetch, check, and say where they are."""
    for model in options.models:
        if "://" in model:
            print(store.fetch(model, options.into, progress=not options.no_progress), flush=True)
        else:
            print(locate(model)[0], flush=True)
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """Check, and name what is wrong."""
    wrong = 0
    for folder in options.folders:
        bad = store.verify(folder)
        wrong += len(bad)
        print(f"{folder}: {'right' if not bad else 'missing or changed: ' + ', '.join(bad)}", flush=True)
    return 1 if wrong else 0


def run_sum(options: argparse.Namespace) -> int:
    """Write what ``verify`` checks."""
    for folder in options.folders:
        print(store.make_sums(folder), flush=True)
    return 0
