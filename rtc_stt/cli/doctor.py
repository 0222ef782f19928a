"""``rtc-stt doctor``: what does this machine lack, and how is it mended?"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtc_stt.cli import common
from rtc_stt.cli.checkup import gpu, gpu_facts, machine, models, network
from rtc_stt.cli.checkup.finding import Finding, State, bad, good
from rtc_stt.config import Decoding, Fallback, Workers
from rtc_stt.config_keys import Values, build
from rtc_stt.errors import ConfigError
from rtc_stt.loading import DEMO_VALUES
from signaling.settings import Access, Server, WebRtc
from signaling.telephony.settings import Sip, Telephony, Webhooks, read_phones

__all__ = ["add_parser"]

MARKS = {State.OK: "ok  ", State.WARN: "warn", State.FAIL: "FAIL"}
WIDTH = 100
ARROW = "      → "


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "doctor",
        run,
        help="say what this machine lacks to serve, and how to mend it",
        example="rtc-stt doctor --config gateway.env",
    )
    parser.add_argument("--demo", action="store_true", help="for the demo: with the bundled models")
    parser.add_argument("--no-load", action="store_true", help="do not load the models (seconds to minutes)")
    parser.add_argument("--json", action="store_true", help="findings as JSON lines")
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Look at everything; 1 where a server would not start."""
    common.set_up_logging(options)
    write = _write_json if options.json else _write
    states = [write(finding) for finding in look(options)]
    failed, doubtful = states.count(State.FAIL), states.count(State.WARN)
    if not options.json:
        print(f"\n{failed} to mend, {doubtful} to look at." if failed or doubtful else "\nAll is well.")
    return 1 if failed else 0


def look(options: argparse.Namespace) -> Iterator[Finding]:
    """Everything, in the order in which it would fail."""
    yield good("Python", sys.version.split()[0])
    try:
        values = common.read_values(options)
        if options.demo:
            values = values.over(DEMO_VALUES)
        groups: list[object] = [build(group, values) for group in common.GROUPS]
    except ConfigError as error:
        yield bad("configuration", str(error), "rtc-stt config reference tells of every key")
        return
    yield good("configuration", f"{len(groups)} groups of keys are right")
    yield from _look_at(values, load=not options.no_load)


def _look_at(values: Values, *, load: bool) -> Iterator[Finding]:
    server, access, webrtc = build(Server, values), build(Access, values), build(WebRtc, values)
    decoding = build(Decoding, values)
    facts = gpu_facts.gather(decoding.device_index)
    if build(Workers, values).places:
        yield good("models", "none is loaded here: ENGINE says where they are")
    else:
        yield from gpu.judge(facts, decoding)
        yield from models.look(decoding, load=load)
        yield from machine.judge_memory(decoding, _sizes(decoding), machine.free_memory(), facts)
    yield from machine.look_at_machine(server)
    yield from machine.look_at_files(access, build(Webhooks, values).webhook_dead_letters)
    yield from network.look_at_keys(server, access)
    yield from network.look_at_ports(server, build(Telephony, values), build(Sip, values))
    yield from network.look_at_phones(server, access, read_phones(values))
    yield from network.look_at_udp(server, webrtc)
    yield from network.look_at_fallbacks(build(Fallback, values))


def _sizes(decoding: Decoding) -> list[int]:
    named = [path for path in (decoding.small_path, decoding.medium_path) if path]
    files = [Path(path).expanduser() / "model.bin" for path in named]
    return [file.stat().st_size for file in files if file.is_file()]


def _write(finding: Finding) -> State:
    print(f"{MARKS[finding.state]}  {finding.about}: {finding.says}")
    if finding.mend:
        print(textwrap.fill(finding.mend, WIDTH, initial_indent=ARROW, subsequent_indent=" " * len(ARROW)))
    sys.stdout.flush()
    return finding.state


def _write_json(finding: Finding) -> State:
    told = {"state": finding.state.value, "about": finding.about, "says": finding.says, "mend": finding.mend}
    print(json.dumps(told, ensure_ascii=False), flush=True)
    return finding.state
