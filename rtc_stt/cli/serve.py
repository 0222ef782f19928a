"""``rtc-stt serve``: the gateway, with the models that the operator chose."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

from rtc_stt.cli import common
from rtc_stt.cli.hosting import hosting, name_of, worker_setups
from rtc_stt.config import Decoding, Recordings
from rtc_stt.config_keys import Values, build
from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.logs import LogOptions
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.session import Speech
from rtc_stt.tracing import make_sink
from signaling.app import create_app
from signaling.keyring import load_keys
from signaling.metrics import Metrics
from signaling.page import About
from signaling.serve import serve
from signaling.settings import Access, Server, WebRtc
from signaling.shared.settings import Sharing
from signaling.shared.shared import shared_by
from signaling.snapshot import Service
from signaling.telephony.settings import read_phones
from signaling.udp import loop_factory

__all__ = ["add_listen", "add_parser", "run_gateway", "warn_if_open"]


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "serve",
        run,
        help="run the gateway: WebRTC in, transcripts out",
        example="CT2_SMALL_PATH=small CT2_MEDIUM_PATH=medium rtc-stt serve",
    )
    add_listen(parser)
    parser.add_argument(
        "--engine", metavar="WHERE", help="local (default), or ray://HOST:PORT[,…]: no model is loaded here"
    )
    common.add_config(parser)
    common.add_common(parser)


def add_listen(parser: argparse.ArgumentParser, port: int = 8080) -> None:
    """Where to listen."""
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help=f"port to listen on (default: {port}; 0: a free one)")


def warn_if_open(server: Server, access: Access) -> None:
    """Say it loudly where no key is asked for."""
    if not load_keys(server, access, warn=False):
        whom = "this machine" if server.is_loopback else f"EVERYONE who reaches {server.host}"
        common.say(f"No API_KEYS: open to {whom}.")


def run(options: argparse.Namespace) -> int:
    """Load the models, or find who has them; serve, drain."""
    logs = common.set_up_logging(options)
    values = common.read_values(options, host=options.host, port=options.port, engine=options.engine)

    def about(speech: Speech) -> About:
        models = speech.pool.models
        return About(
            mode="serve",
            fast=str(models["fast"]),
            accurate=models["accurate"],
            languages=sorted(speech.pool.languages),
        )

    return run_gateway(values, about, lambda url: common.say(f"rtc-stt is ready on {url}"), logs)


def run_gateway(
    values: Values,
    about: Callable[[Speech], About],
    announce: Callable[[str], None],
    logs: LogOptions,
) -> int:
    """Serve with these values until told to stop."""
    server, access, webrtc = build(Server, values), build(Access, values), build(WebRtc, values)
    recordings, commit = build(Recordings, values), build(Decoding, values).server_commit
    phones, sharing = read_phones(values), build(Sharing, values)
    make_loop, setups = loop_factory(webrtc.udp_port_range), worker_setups(values, webrtc, logs)
    warn_if_open(server, access)
    told_of_people, metrics = common.read_logs(values), Metrics()
    sink = make_sink("gateway", metrics)
    tiers = common.replica_tiers(values, metrics)
    speech = common.make_speech(
        values, metrics, tiers=tiers, sink=sink, log_transcripts=told_of_people.transcripts
    )
    pool = speech.pool
    assert isinstance(pool, DecodePool), "the queue is in this process"

    async def run() -> None:
        try:
            if tiers:
                await common.await_replicas(speech, tiers[Tier.FAST].roster, common.say)
            async with (
                shared_by(sharing, server, access, metrics) as shared,
                hosting(speech, server, webrtc, metrics, setups, name_of(sharing, shared)) as (host, streams),
            ):
                app = create_app(
                    host,
                    server,
                    access,
                    webrtc,
                    told := about(speech),
                    metrics,
                    streams=streams,
                    recordings=recordings,
                    transcriber=Transcriber(speech, recordings),
                    service=Service(told.mode, commit, pool.snapshot),
                    phones=phones,
                    logs=told_of_people,
                    sink=sink,
                    shared=shared,
                    sharing=sharing,
                )
                await serve(app, announce)
        finally:
            await speech.aclose()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(run())
    return 0
