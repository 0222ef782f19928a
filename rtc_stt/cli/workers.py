"""``rtc-stt workers``: put decode workers on a Ray cluster, see how they are, take them away gently.

It talks to the dashboard of Ray's head by HTTP; where it runs no Ray is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rtc_stt.cli import common
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.cli.ray_dashboard import KEY_VARIABLE, Dashboard, ask_directory
from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.errors import RtcSttError
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas import application
from rtc_stt.replicas.application import Deployed
from rtc_stt.replicas.plan import ON_NODE, make_plans
from rtc_stt.replicas.settings import Replicas

__all__ = ["add_parser"]

ADDRESS = "http://127.0.0.1:8265"
DEMO = Values(dict.fromkeys(("CT2_SMALL_PATH", "CT2_MEDIUM_PATH"), (ON_NODE, "--demo")))
LOOK_S = 1.0
BEGIN_S = 10.0
"""In which Ray has noticed what it was told."""


def add_parser(commands: Any) -> None:
    """Add the command and its parts."""
    workers = common.add_parser(
        commands,
        "workers",
        lambda options: 2,
        help="put decode workers on a Ray cluster, and look after them",
        example="rtc-stt workers deploy --config rtc-stt.env --address http://head:8265",
    )
    parts = workers.add_subparsers(required=True, metavar="deploy|status|drain")
    deploy = _add_part(
        parts,
        "deploy",
        run_deploy,
        help="put decode workers on the cluster, or change those there, and wait until they are ready",
        example="CT2_SMALL_PATH=small FAST_REPLICAS=1-4 FAST_GPUS=0.5 rtc-stt workers deploy\n"
        "  rtc-stt workers deploy --demo\n"
        "  rtc-stt workers deploy --config rtc-stt.env --dry-run > serve.json",
    )
    deploy.add_argument("--demo", action="store_true", help="the two models that ship with the package")
    deploy.add_argument(
        "--dry-run", action="store_true", help="print the Serve configuration, and do nothing"
    )
    _add_wait(deploy, 600.0)
    common.add_config(deploy)
    status = _add_part(
        parts,
        "status",
        run_status,
        help="show the replicas: where they are and what they have to do",
        example="WORKERS_KEY=… rtc-stt workers status --address http://head:8265",
    )
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")
    drain = _add_part(
        parts,
        "drain",
        run_drain,
        help="take replicas away: they finish what they have first",
        example="rtc-stt workers drain --tier accurate --address http://head:8265",
    )
    drain.add_argument(
        "--tier", choices=[tier.value for tier in Tier], help="this one only (default: all decode workers)"
    )
    _add_wait(drain, 120.0)


def _add_part(
    parts: Any, name: str, run: Callable[[argparse.Namespace], int], help: str, example: str
) -> argparse.ArgumentParser:
    part = common.add_parser(parts, name, run, help=help, example=example)
    part.add_argument(
        "--address",
        default=os.environ.get("RAY_DASHBOARD_ADDRESS", ADDRESS),
        metavar="URL",
        help=f"the dashboard of Ray's head (default: $RAY_DASHBOARD_ADDRESS, or {ADDRESS}); where Ray asks "
        f"for a token, it is in {KEY_VARIABLE}",
    )
    return part


def _add_wait(part: argparse.ArgumentParser, default: float) -> None:
    part.add_argument(
        "--wait",
        type=float,
        default=default,
        metavar="SECONDS",
        help=f"how long to wait until it is done (default: {default:.0f}; 0: not at all)",
    )


# ── deploy ────────────────────────────────────────────────────────────


def run_deploy(options: argparse.Namespace) -> int:
    """Tell Ray, and wait."""
    values = common.read_values(options)
    if options.demo:
        values = values.over(DEMO).over(DEMO_VALUES)
    replicas = build(Replicas, values)
    config = application.make_config(make_plans(build(Decoding, values), replicas), replicas.http_port)
    if options.dry_run:
        common.say(json.dumps(config, indent=2))
        return 0
    dashboard = Dashboard(options.address)
    before = dashboard.details()
    dashboard.put(application.with_application(config, before))
    if not options.wait:
        return 0
    deployed = _wait(dashboard, options.wait, _begun(before), lambda now: now.is_ready)
    if deployed.is_ready:
        hosts = ",".join(f"{host}:{deployed.http_port}" for host in deployed.hosts)
        common.say(f"Decode workers are ready. Gateways: ENGINE=ray://{hosts}")
        return 0
    return _say_why(deployed, options.wait)


def _begun(before: dict[str, Any]) -> Callable[[Deployed], bool]:
    """Whether what is told is of what Ray was told now. An unchanged configuration begins nothing."""
    then, deadline = application.read_details(before), time.monotonic() + BEGIN_S
    return lambda now: now.deployed_at != then.deployed_at or time.monotonic() > deadline


def _wait(
    dashboard: Dashboard, seconds: float, begun: Callable[[Deployed], bool], done: Callable[[Deployed], bool]
) -> Deployed:
    """Until it is done, Ray has given up, or time is up; says how far it is whenever that changes."""
    deadline, told = time.monotonic() + seconds, ""
    while True:
        deployed = application.read_details(dashboard.details())
        line = application.progress(deployed)
        if line != told:
            common.say(line)
            told = line
        ends = begun(deployed) and (done(deployed) or deployed.has_failed)
        if ends or time.monotonic() > deadline:
            return deployed
        time.sleep(LOOK_S)


def _say_why(deployed: Deployed, seconds: float) -> int:
    how = "failed" if deployed.has_failed else f"not done after {seconds:.0f} s"
    print(f"rtc-stt: {how}: {application.progress(deployed)}", file=sys.stderr)
    if deployed.trouble:
        print(deployed.trouble, file=sys.stderr)
    return 1


# ── status ────────────────────────────────────────────────────────────


def run_status(options: argparse.Namespace) -> int:
    """Print it. The exit code is 0 where all that are wanted decode."""
    dashboard = Dashboard(options.address)
    deployed = application.read_details(dashboard.details())
    reports, why = _reports(dashboard, deployed)
    if options.json:
        common.say(json.dumps(application.status_json(deployed, reports), indent=2))
    else:
        for line in application.status_lines(deployed, reports):
            common.say(line)
        if why and deployed.tiers:
            common.say(f"What they have to do is not known: {why}.")
    return 0 if deployed.is_ready else 1


def _reports(dashboard: Dashboard, deployed: Deployed) -> tuple[dict[str, dict[str, Any]], str]:
    """What the directory tells of each replica, by id; and why it does not."""
    key = os.environ.get("WORKERS_KEY")
    if not deployed.http_port:
        return {}, ""
    if not key:
        return {}, "WORKERS_KEY is not set here"
    for host in (dashboard.host, *deployed.hosts):
        try:
            told = ask_directory(host, deployed.http_port, key)
            return application.read_reports(told), ""
        except RtcSttError as error:
            why = str(error)
    return {}, why


# ── drain ────────────────────────────────────────────────────────────


def run_drain(options: argparse.Namespace) -> int:
    """Tell Ray to do without them, and wait until they have ended."""
    dashboard = Dashboard(options.address)
    tier = Tier(options.tier) if options.tier else None
    dashboard.put(application.without_tier(dashboard.details(), tier))
    if not options.wait:
        return 0

    def is_gone(now: Deployed) -> bool:
        if tier is None:
            return now.status == "NOT_STARTED"
        left = [told.target + len(told.replicas) for told in now.tiers if told.tier is tier]
        return left == [0]

    deployed = _wait(dashboard, options.wait, lambda _: True, is_gone)
    if is_gone(deployed):
        common.say(f"{'All decode workers have' if tier is None else f'The {tier} tier has'} ended.")
        return 0
    return _say_why(deployed, options.wait)
