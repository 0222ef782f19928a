"""What the commands share: options, configuration and logging."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rtc_stt.config import Decoding, Endpointing, Fallback, Recordings, Routing, StreamOptions, Workers
from rtc_stt.config_keys import Values, build, keys, read_env_file, read_environment
from rtc_stt.loading import (
    Model,
    await_replicas,
    both_models,
    load_engines,
    make_speech,
    medium_model,
    replica_tiers,
    runs_on_cpu,
    small_model,
    stream_options,
)
from rtc_stt.logs import LogOptions, set_up
from rtc_stt.replicas.settings import Replicas
from rtc_stt.vad import Detection
from signaling.settings import Access, Logs, Server, WebRtc
from signaling.shared.settings import Sharing
from signaling.telephony.settings import Sip, Telephony, Webhooks

__all__ = [
    "GROUPS",
    "Model",
    "add_common",
    "add_config",
    "add_key",
    "add_parser",
    "await_replicas",
    "both_models",
    "load_engines",
    "make_speech",
    "medium_model",
    "read_logs",
    "read_values",
    "replica_tiers",
    "runs_on_cpu",
    "say",
    "set_up_logging",
    "small_model",
    "stream_options",
]

GROUPS: tuple[type, ...] = (
    Server, Access, Logs, WebRtc, Recordings, Decoding, Routing, Fallback, Detection, Endpointing,
    StreamOptions, Telephony, Sip, Webhooks, Sharing, Workers, Replicas,
)  # fmt: skip
"""Every group of configuration keys."""

KEY_VARIABLE = "RTC_STT_KEY"
"""The API key of a server that a command talks to."""

T = TypeVar("T")

log = logging.getLogger(__name__)


def add_parser(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str, example: str
) -> argparse.ArgumentParser:
    """A sub-command with its example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that every command has."""
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Where the configuration comes from."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="KEY=value lines (default: $CONFIG_PATH)")


def say(line: str) -> None:
    """A line for people, in one write: lines of the log, which a thread writes, come before or behind it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def add_key(to: Any) -> None:
    """The API key of a server that is measured: as a flag, or where nobody sees it in a list of processes."""
    to.add_argument(
        "--key",
        default=os.environ.get(KEY_VARIABLE),
        help=f"its API key; better in {KEY_VARIABLE}, for others on this machine can see a command line",
    )


def read_values(options: argparse.Namespace, **flags: object) -> Values:
    """File, environment and flags, later over earlier. ``flags`` are keys in lower case; None is not set."""
    known = [spec.name for group in GROUPS for spec in keys(group).values()]
    path = getattr(options, "config", None) or os.environ.get("CONFIG_PATH")
    values = read_env_file(Path(path), known) if path else Values({})
    values = read_environment(known).over(values)
    given = {
        name.upper(): (str(value), f"--{name.replace('_', '-')}")
        for name, value in flags.items()
        if value is not None
    }
    return Values(given).over(values)


def set_up_logging(options: argparse.Namespace) -> LogOptions:
    """Log to standard error, in the chosen form. Returns it, for processes that this one starts."""
    chosen = LogOptions(options.log_format, options.log_level)
    set_up(chosen)
    return chosen


def read_logs(values: Values) -> Logs:
    """What the log tells of people; where it is more than nothing, that is said loudly."""
    logs = build(Logs, values)
    if logs.transcripts:
        told = "LOG_TRANSCRIPTS=true: WHAT PEOPLE SAY IS WRITTEN TO THE LOG, at level info."
        say(told)
        log.warning(told)
    if logs.addresses:
        log.warning("LOG_ADDRESSES=true: where requests come from is written to the log")
    return logs
