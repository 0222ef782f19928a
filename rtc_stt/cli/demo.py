"""``rtc-stt demo``: everything on one machine with the bundled models, no download."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from typing import Any

from rtc_stt import demo_models
from rtc_stt.cli import common
from rtc_stt.cli.serve import add_listen, run_gateway
from rtc_stt.config_keys import Values
from rtc_stt.instrument import Instrument
from rtc_stt.loading import DEMO_VALUES
from rtc_stt.session import Speech
from signaling.page import About

__all__ = ["DEMO_VALUES", "add_parser", "demo_speech", "read_values"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "demo",
        run,
        help="speak into your browser: a page and two tiny models of our own, no download",
        example="rtc-stt demo --port 9000",
    )
    add_listen(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Serve the demo."""
    logs = common.set_up_logging(options)
    values = common.read_values(options, host=options.host, port=options.port).over(DEMO_VALUES)
    return run_gateway(values, _about, _announce, logs)


def read_values(options: argparse.Namespace, **flags: object) -> Values:
    """As :func:`common.read_values`; with ``--demo`` what is not set is as in the demo."""
    values = common.read_values(options, **flags)
    return values.over(DEMO_VALUES) if options.demo else values


def demo_speech(instrument: Instrument, changes: Mapping[str, str]) -> Speech:
    """The demo as it ships, with some keys changed. The machine's own configuration has no say in it."""
    changed = Values({name: (value, "bench") for name, value in changes.items()})
    return common.make_speech(changed.over(DEMO_VALUES), instrument)


def _about(speech: Speech) -> About:
    return About(
        mode="demo",
        fast=demo_models.FAST.name,
        accurate=demo_models.ACCURATE.name,
        languages=demo_models.FAST.languages,
        understands=demo_models.UNDERSTANDS,
        examples=demo_models.EXAMPLES,
    )


def _announce(url: str) -> None:
    common.say(f"\n  Open {url} and speak.\n")
    print(textwrap.indent(textwrap.fill(demo_models.UNDERSTANDS, 88), "  "))
    print("  Try:")
    for sentence in demo_models.EXAMPLES:
        print(f"    {sentence}")
    print("\n  Ctrl-C ends it.", flush=True)
