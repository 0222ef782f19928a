"""What ``rtc-stt primary`` and ``rtc-stt fallback`` share: all but the model and the routing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from rtc_stt.cli import common
from rtc_stt.cli.common import Model
from rtc_stt.cli.demo import read_values
from rtc_stt.cli.serve import add_listen, warn_if_open
from rtc_stt.config import Decoding, Recordings, Routing
from rtc_stt.config_keys import Values, build
from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.session import Speech
from rtc_stt.tracing import make_sink
from signaling.calls import Health
from signaling.metrics import Metrics
from signaling.serve import serve
from signaling.service_app import create_service_app
from signaling.settings import Access, Server
from signaling.shared.settings import Sharing
from signaling.shared.shared import shared_by

__all__ = ["Kind", "add_parser", "run_service"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the services."""

    name: Literal["primary", "fallback"]
    port: int
    """Where it listens if nobody says otherwise."""
    choose: Callable[[Decoding], dict[Tier, Model]]
    """See :func:`~rtc_stt.cli.common.load_engines`."""
    routing: Routing | None = None
    """Other than configured."""


def add_parser(commands: Any, kind: Kind, help: str, example: str) -> None:
    """Add the command of a service."""
    parser = common.add_parser(
        commands, kind.name, lambda options: run_service(kind, options), help=help, example=example
    )
    add_listen(parser, kind.port)
    parser.add_argument("--demo", action="store_true", help="use the bundled demo model, no download")
    common.add_config(parser)
    common.add_common(parser)


def run_service(kind: Kind, options: argparse.Namespace) -> int:
    """Load the model, serve until told to stop, drain."""
    common.set_up_logging(options)
    values = read_values(options, host=options.host, port=options.port)
    values = values.over(_defaults(kind))
    server, access, recordings = build(Server, values), build(Access, values), build(Recordings, values)
    warn_if_open(server, access)
    logs, metrics = common.read_logs(values), Metrics()
    sink = make_sink(kind.name, metrics)
    speech = common.make_speech(
        values, metrics, live=False, choose=kind.choose, sink=sink, log_transcripts=logs.transcripts
    )
    pool = speech.pool
    assert isinstance(pool, DecodePool), "the models are in this process"
    commit, sharing = build(Decoding, values).server_commit, build(Sharing, values)

    def announce(url: str) -> None:
        common.say(f"rtc-stt {kind.name} is ready on {url}")

    async def run() -> None:
        transcriber = Transcriber(speech, recordings, routing=kind.routing)
        try:
            async with shared_by(sharing, server, access, metrics, role=kind.name) as shared:
                app = create_service_app(
                    transcriber,
                    server,
                    access,
                    recordings,
                    metrics,
                    name=kind.name,
                    commit=commit,
                    health=lambda: _health(speech),
                    queue=pool.snapshot,
                    logs=logs,
                    sink=sink,
                    shared=shared,
                )
                await serve(app, announce)
        finally:
            await speech.aclose()

    asyncio.run(run())
    return 0


def _defaults(kind: Kind) -> Values:
    """What a service has where the gateway has something else. Its clients are servers, with many users."""
    told = {"PORT": str(kind.port), "RATE_LIMIT_RPS": "100", "RATE_LIMIT_BURST": "200"}
    return Values({name: (value, kind.name) for name, value in told.items()})


def _health(speech: Speech) -> Health:
    pool = speech.pool
    return Health(ready=pool.is_ready, sessions=0, load=pool.step.name.lower(), troubles=tuple(pool.troubles))
