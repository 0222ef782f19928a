"""``rtc-stt health``: is a server ready?"""

from __future__ import annotations

import argparse
import os
from typing import Any

from rtc_stt.cli import common
from rtc_stt.health import TIMEOUT_S, ask, default_url

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "health",
        run,
        help="ask a server whether it is ready, as health checks do",
        example="rtc-stt health --url http://127.0.0.1:8082/v1/ready",
    )
    parser.add_argument("--url", help="what to ask (default: /v1/ready at HOST and PORT of the environment)")
    parser.add_argument(
        "--alive", action="store_true", help="ask /v1/health instead: 200 while it drains, too"
    )
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help="how long to wait")


def run(options: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    url = options.url or default_url(os.environ, "/v1/health" if options.alive else "/v1/ready")
    well, says = ask(url, options.timeout)
    print(says, flush=True)
    return 0 if well else 1
