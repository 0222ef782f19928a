"""``rtc-stt config check``: is this configuration right, and what does it come to?"""

from __future__ import annotations

import argparse
from typing import Any

from rtc_stt.cli import common
from rtc_stt.cli.hosting import worker_setups
from rtc_stt.config_keys import Values, build, keys, reference
from rtc_stt.instrument import Instrument
from rtc_stt.logs import LogOptions
from signaling.app import make_gate
from signaling.settings import Access, Server, WebRtc
from signaling.shared.settings import Sharing
from signaling.shared.shared import Shared
from signaling.telephony.phones import check_phones
from signaling.telephony.settings import read_phones
from signaling.udp import loop_factory

__all__ = ["add_parser", "check_gateway"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    config = common.add_parser(
        commands,
        "config",
        lambda options: 2,
        help="check a configuration, or write the annotated reference",
        example="rtc-stt config check --config gateway.env",
    )
    parts = config.add_subparsers(required=True, metavar="check|reference")
    check = common.add_parser(
        parts,
        "check",
        run_check,
        help="say whether a configuration is right, and print the effective one without secrets",
        example="rtc-stt config check --config gateway.env",
    )
    check.add_argument("--quiet", action="store_true", help="print nothing where it is right")
    common.add_config(check)
    common.add_parser(
        parts,
        "reference",
        run_reference,
        help="print an annotated file with every key and its default",
        example="rtc-stt config reference > gateway.env",
    )


def run_check(options: argparse.Namespace) -> int:
    """Check and print."""
    values = common.read_values(options)
    check_gateway(values)
    for group in common.GROUPS:
        made: Any = build(group, values)
        for field_name, spec in keys(group).items():
            value = getattr(made, field_name)
            if spec.secret:
                value = _how_many(value)
            source = values.entries.get(spec.name, ("", "default"))[1]
            if not options.quiet:
                print(f"{spec.name}={'' if value is None else value}  # {source}")
    return 0


def check_gateway(values: Values) -> None:
    """What ``rtc-stt serve`` would find wrong with them before it loads a model or listens, by the same code.
    What they need of the machine is what ``rtc-stt doctor`` looks at.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    server, webrtc = build(Server, values), build(WebRtc, values)
    common.stream_options(values)
    common.replica_tiers(values)
    access, sharing = build(Access, values), build(Sharing, values)
    gate = make_gate(server, access, Instrument())
    if sharing.redis_url:
        Shared(sharing, server, access, Instrument())
    loop_factory(webrtc.udp_port_range)
    worker_setups(values, webrtc, LogOptions())
    check_phones(server, read_phones(values), gate.authority)


def _how_many(secret: Any) -> str:
    """Whether a secret is set, or how many are; how long one is would be a hint."""
    return f"({len(secret)} set)" if isinstance(secret, tuple) else "(set)" if secret else "(not set)"


def run_reference(_options: argparse.Namespace) -> int:
    """Print the manual of the configuration."""
    print(reference(common.GROUPS), end="")
    return 0
