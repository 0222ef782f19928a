"""Decode workers in Ray Serve: the deployments, and the directory that tells gateways where they are.

The only room that imports Ray; it is imported in Ray's processes only. See ``docs/fleet.md``.

::

    Serve's controller ── check_health, record_autoscaling_stats, the end ──▶ DecodeReplica × n, a tier each
    gateway ── GET /replicas ── Serve's proxy ──▶ Directory ◀── each second: here I am ── DecodeReplica
    gateway ── WebSocket, a port of its own ──▶ DecodeReplica

``import_path: rtc_stt.ray_serve:build`` of a Serve configuration makes them from its ``args``, which
``rtc-stt workers deploy`` writes. ``WORKERS_KEY`` is taken from the environment of the Ray nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import random
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rtc_stt import __version__, demo_models
from rtc_stt.decode_lane import Engine
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.on_node import locate_once
from rtc_stt.errors import ConfigError, trace
from rtc_stt.hypothesis import Tier
from rtc_stt.logs import LogOptions, set_up
from rtc_stt.memory import limit_arenas
from rtc_stt.replicas import directory
from rtc_stt.replicas.application import DIRECTORY
from rtc_stt.replicas.directory import Report
from rtc_stt.replicas.plan import ON_NODE, TierPlan, read_args, write_args
from rtc_stt.replicas.replica import write_list
from rtc_stt.replicas.server import DecodeServer
from rtc_stt.replicas.settings import read_ports

__all__ = ["DecodeReplica", "Directory", "build"]

log = logging.getLogger(__name__)

TELL_EVERY_S = 1.0
TELL_TIMEOUT_S = 2.0
"""For the directory to take it."""

HEALTH_EVERY_S, HEALTH_TIMEOUT_S = 5.0, 5.0
"""Three in a row that fail, and Serve starts another one: one that hangs is replaced in half a minute."""


def build(args: dict[str, Any]) -> serve.Application:
    """The application.

    Args:
        args: of the Serve configuration; see :mod:`rtc_stt.replicas.plan`.

    Raises:
        ConfigError: they cannot be read; or ``WORKERS_KEY`` is not set where this runs.
    """
    _key()
    tiers = [_bind(DecodeReplica, plan.tier, write_args([plan])) for plan in read_args(args)]
    return _bind(Directory, DIRECTORY, *tiers, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1_000)


def _bind(what: type, name: str, *arguments: object, **options: Any) -> serve.Application:
    """How many there are is in the configuration. The classes are no deployments themselves, by a decorator:
    those are pickled by value."""
    deployment = serve.deployment(
        name=str(name),
        health_check_period_s=HEALTH_EVERY_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.1,  # Serve waits for requests of its own, and carries few here
        **options,
    )
    bound: serve.Application = deployment(what).bind(*arguments)
    return bound


def _key() -> str:
    key = os.environ.get("WORKERS_KEY", "")
    if len(key) < 16:
        raise ConfigError(
            "WORKERS_KEY is not set where Ray runs, or has less than 16 characters: set it in the "
            "environment of ray start on every node, the same as for the gateways"
        )
    return key


# ── The directory ────────────────────────────────────────────────────────────


class Directory:
    """Tells gateways where the replicas are: ``GET /replicas``; and the operator more: ``/replicas/status``.

    It keeps nothing: one that is begun anew knows all of them after a second.
    """

    def __init__(self, *tiers: DeploymentHandle[Any]) -> None:
        self._authorization = f"Bearer {_key()}".encode()
        self._known = directory.Directory()

    async def tell(self, report: Report) -> bool:
        """A replica is there. False where there are too many."""
        return self._known.tell(report, time.monotonic())

    async def leave(self, replica_id: str) -> None:
        """It has ended."""
        self._known.leave(replica_id)

    async def __call__(self, request: Request) -> Response:
        """HTTP."""
        told = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(told, self._authorization):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        if request.method != "GET":
            return Response(status_code=405, headers={"Allow": "GET"})
        now = time.monotonic()
        match request.url.path.rstrip("/"):
            case "/replicas":
                return Response(write_list(self._known.replicas(now)), media_type="application/json")
            case "/replicas/status":
                return JSONResponse({"replicas": [_told(report) for report in self._known.reports(now)]})
        return Response(status_code=404)


def _told(report: Report) -> dict[str, Any]:
    told = asdict(report)
    return told | {"replica": told["replica"] | {"languages": sorted(report.replica.languages)}}


# ── Replicas ────────────────────────────────────────────────────────────


class DecodeReplica:
    """One model, loaded, behind a WebSocket on a port of its own.

    Args:
        args: those of the application, with one tier.
    """

    async def __init__(self, args: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        limit_arenas()
        [plan] = read_args(args)
        set_up(LogOptions(level="info", process=plan.tier))
        context = serve.get_replica_context()
        self._plan, self._id = plan, context.replica_id.unique_id
        self._node: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        self._directory = serve.get_deployment_handle(DIRECTORY, app_name=context.app_name)
        key = _key()
        engine = await asyncio.to_thread(_load, plan)
        self._server = await self._listen(engine, key)
        self._is_known = False
        self._telling = asyncio.create_task(self._tell())

    async def _listen(self, engine: Engine, key: str) -> DecodeServer:
        for port in _ports(self._plan):
            server = DecodeServer(
                engine,
                self._plan.tier,
                key=key,
                replica_id=self._id,
                host=self._node,
                port=port,
                calls=self._plan.calls,
                version=__version__,
                max_batch=self._plan.max_batch,
                hang_s=self._plan.hang_s,
            )
            try:
                replica = await server.start()
            except OSError:
                await server.aclose()
                continue
            log.info("%s decodes at %s", replica.model, replica.url)
            return server
        raise ConfigError(f"WORKERS_PORTS: none of {self._plan.ports} is free on {self._node}")

    async def _tell(self) -> None:
        """Once a second, whether it is heard or not."""
        while True:
            state = self._server.state()
            report = Report(
                self._server.replica, self._node, os.getpid(), state.busy, state.queued_audio_s, state.links
            )
            try:
                async with asyncio.timeout(TELL_TIMEOUT_S):
                    is_known = bool(await self._directory.tell.remote(report))
            except Exception as error:  # of Ray, of many kinds; the next second is another one
                is_known = False
                if self._is_known:
                    log.warning("the directory does not answer: %s", trace(error))
            if is_known and not self._is_known:
                log.info("the directory knows of this replica")
            self._is_known = is_known
            await asyncio.sleep(TELL_EVERY_S)

    # ── What Serve calls ────────────────────────────────────────────────────────────

    async def check_health(self) -> None:
        """Serve asks; an error is a no, and after three of them it starts another one."""
        if not self._server.state().is_healthy:
            raise RuntimeError(f"the model of the {self._plan.tier} tier hangs, or is broken")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """For :func:`~rtc_stt.replicas.scaling.queue_policy`."""
        state = self._server.state()
        return {"queued_audio_s": state.queued_audio_s, "busy": state.busy, "calls": state.calls}

    async def __call__(self) -> None:
        """Nothing goes this way: what is decoded comes by the WebSocket."""

    async def __del__(self) -> None:
        """Serve ends it: it says so to the gateways and the directory, and answers what it has."""
        if not hasattr(self, "_telling"):  # it has not been there
            return
        if not await self._server.drain(self._plan.drain_s):
            log.warning("this replica ends with calls under way: others are asked again")
        self._telling.cancel()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await self._directory.leave.remote(self._id)
        await self._server.aclose()


def _load(plan: TierPlan) -> Engine:
    """The model, warm; seconds, or as long as a download."""
    demo = demo_models.FAST if plan.tier is Tier.FAST else demo_models.ACCURATE
    folder, name = locate_once(str(demo.path) if plan.path == ON_NODE else plan.path)
    engine = WhisperEngine(
        folder,
        name=name,
        device=plan.device,
        compute_type=plan.compute_type,
        cpu_threads=plan.cpu_threads,
        workers=plan.calls,
        beam_size=plan.beam_size,
        context_policy=plan.context_policy,
    )
    engine.warm_up(plan.max_batch)
    return engine


def _ports(plan: TierPlan) -> Iterable[int]:
    """That are tried, one after the other; replicas that begin together do not begin at the same one."""
    span = read_ports(plan.ports)
    if span is None:
        return [0]
    first, last = span
    return random.sample(range(first, last + 1), last - first + 1)
