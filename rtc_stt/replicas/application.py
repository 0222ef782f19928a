"""What ``rtc-stt workers`` tells Ray's REST interface, and reads from it. Pure: JSON in, JSON out.

``PUT /api/serve/applications/`` of the head's dashboard takes the configuration of *all* applications, and
ends those that are not in it; so those of others are taken over from what ``GET`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.plan import Placement, TierPlan, write_args

__all__ = [
    "DIRECTORY",
    "IMPORT_PATH",
    "NAME",
    "ROUTE",
    "Deployed",
    "RunningReplica",
    "TierStatus",
    "make_config",
    "progress",
    "read_details",
    "read_reports",
    "status_json",
    "status_lines",
    "with_application",
    "without_tier",
]

NAME = "rtc-stt"
"""Of the application."""

IMPORT_PATH = "rtc_stt.ray_serve:build"
ROUTE = "/replicas"
DIRECTORY = "directory"
"""Name of the deployment that answers there."""

POLICY = "rtc_stt.replicas.scaling:queue_policy"

STOP_S = 5.0
"""Beyond the time in which a replica finishes what it has, before Serve kills it."""

LOOK_BACK_S = 10.0
"""Over which what replicas have to do is averaged: a queue of one bad second is none."""

SURGE_PERCENT = 25
"""Of a tier's replicas, one at least: so many more there are in a rolling update."""

MAX_MESSAGE = 2_000
"""Ray's own are tracebacks, now and then."""


# ── What is told ────────────────────────────────────────────────────────────


def make_config(tiers: list[tuple[TierPlan, Placement]], http_port: int) -> dict[str, Any]:
    """A Serve configuration (``ServeDeploySchema``), as ``serve deploy`` and a RayService take it."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": http_port},  # noqa: S104 - gateways are on other machines
        "applications": [
            {
                "name": NAME,
                "route_prefix": ROUTE,
                "import_path": IMPORT_PATH,
                "args": write_args([plan for plan, _ in tiers]),
                "deployments": [_deployment(plan, placement) for plan, placement in tiers],
            }
        ],
    }


def _deployment(plan: TierPlan, placement: Placement) -> dict[str, Any]:
    return {
        "name": plan.tier.value,
        "ray_actor_options": {"num_cpus": placement.cpus, "num_gpus": placement.gpus},
        "graceful_shutdown_timeout_s": plan.drain_s + STOP_S,
        "max_surge_percent": SURGE_PERCENT if placement.surge else 0,
        "autoscaling_config": _autoscaling(placement),
    }


def _autoscaling(placement: Placement) -> dict[str, Any]:
    """Also where the number is fixed: Serve knows 0 replicas, which a drained tier has, in this form only."""
    return {
        "min_replicas": placement.floor,
        "max_replicas": max(placement.ceiling, 1),
        "target_ongoing_requests": placement.scale_up_audio_s,  # in the unit of our policy: seconds of audio
        "downscale_delay_s": placement.scale_down_after_s,
        "look_back_period_s": LOOK_BACK_S,
        "policy": {"policy_function": POLICY},
    }


def with_application(config: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """Ours, beside those of others that run there. Where Serve runs, its ways in stay as they are."""
    told = dict(config)
    if others := _others(details):
        told["applications"] = [*others, *config["applications"]]
        for name in ("proxy_location", "http_options"):
            told[name] = details.get(name) or config[name]
    return told


def without_tier(details: Mapping[str, Any], tier: Tier | None) -> dict[str, Any]:
    """The configuration that runs, without replicas of one tier of ours; None: without our application.

    Raises:
        ConfigError: it does not run, or has no such tier.
    """
    ours = _ours(details)
    kept = {name: details[name] for name in ("proxy_location", "http_options") if details.get(name)}
    others = _others(details)
    if tier is None:
        return {**kept, "applications": others}
    config = dict(ours.get("deployed_app_config") or {})
    deployments = [dict(deployment) for deployment in config.get("deployments") or []]
    found = [deployment for deployment in deployments if deployment.get("name") == tier.value]
    if not found:
        raise ConfigError(f"the {tier} tier is not deployed there")
    none = Placement(floor=0, ceiling=0, cpus=0, gpus=0, scale_up_audio_s=1, scale_down_after_s=1, surge=True)
    found[0]["autoscaling_config"] = _autoscaling(none)
    config["deployments"] = deployments
    return {**kept, "applications": [*others, config]}


def _ours(details: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = (details.get("applications") or {}).get(NAME)
    if found is None:
        raise ConfigError("no decode workers are deployed there: rtc-stt workers deploy")
    return found


def _others(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of the applications that a configuration has put there; those of Python programs stay by themselves."""
    return [
        told["deployed_app_config"]
        for name, told in (details.get("applications") or {}).items()
        if name != NAME and told.get("deployed_app_config") and told.get("source") != "imperative"
    ]


# ── What is read ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunningReplica:
    """As Serve tells it."""

    id: str
    state: str
    """``STARTING``, ``RUNNING``, ``STOPPING`` …"""
    node: str
    """Address of its machine."""
    pid: int | None
    """Of its process there, once it has one."""


@dataclass(frozen=True, slots=True)
class TierStatus:
    """One tier."""

    tier: Tier
    status: str
    """``HEALTHY``, ``UPDATING``, ``UPSCALING``, ``DOWNSCALING``, ``UNHEALTHY`` …"""
    message: str
    """Of Ray, where it has one."""
    target: int
    """Replicas that are wanted now."""
    replicas: tuple[RunningReplica, ...]

    @property
    def running(self) -> int:
        """Those that decode."""
        return sum(replica.state == "RUNNING" for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class Deployed:
    """Our application."""

    status: str
    """``DEPLOYING``, ``RUNNING``, ``UNHEALTHY``, ``DEPLOY_FAILED``, ``DELETING``; ``NOT_STARTED`` where there
    is none."""
    message: str
    deployed_at: float
    """Seconds since 1970; when it was last told what to be."""
    tiers: tuple[TierStatus, ...]
    http_port: int | None
    """Of Serve's proxies."""
    hosts: tuple[str, ...]
    """Of the proxies that answer."""

    @property
    def is_ready(self) -> bool:
        """Whether all replicas that are wanted decode."""
        return (
            self.status == "RUNNING"
            and bool(self.tiers)
            and all(tier.status == "HEALTHY" and tier.running >= tier.target for tier in self.tiers)
        )

    @property
    def has_failed(self) -> bool:
        """Whether Ray has given up."""
        return self.status == "DEPLOY_FAILED"

    @property
    def trouble(self) -> str:
        """What Ray says is wrong, as short as it can be told; empty where it says nothing."""
        tiers = [f"{tier.tier}: {_cut(tier.message)}" for tier in self.tiers if tier.message]
        return "\n".join(text for text in (_cut(self.message), *tiers) if text)


def _cut(text: str) -> str:
    """What is wrong stands at the end."""
    return text[-MAX_MESSAGE:].strip()


def read_details(details: Mapping[str, Any]) -> Deployed:
    """From ``GET /api/serve/applications/``.

    Raises:
        ConfigError: what answered is not Ray's dashboard, or of another version.
    """
    try:
        told = details["applications"].get(NAME)
        if told is None:
            return Deployed("NOT_STARTED", "", 0.0, (), *_ways_in(details))
        tiers = tuple(
            _tier(Tier(name), deployment)
            for name, deployment in told["deployments"].items()
            if name in list(Tier)
        )
        return Deployed(
            status=str(told["status"]),
            message=str(told.get("message") or ""),
            deployed_at=float(told["last_deployed_time_s"]),
            tiers=tuple(sorted(tiers, key=lambda tier: list(Tier).index(tier.tier))),
            http_port=_ways_in(details)[0],
            hosts=_ways_in(details)[1],
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"what answers there is no Ray dashboard that is understood here: {error!r}"
        ) from None


def _tier(tier: Tier, told: Mapping[str, Any]) -> TierStatus:
    return TierStatus(
        tier=tier,
        status=str(told["status"]),
        message=str(told.get("message") or ""),
        target=int(told["target_num_replicas"]),
        replicas=tuple(
            RunningReplica(str(r["replica_id"]), str(r["state"]), str(r.get("node_ip") or ""), r.get("pid"))
            for r in told["replicas"]
        ),
    )


def _ways_in(details: Mapping[str, Any]) -> tuple[int | None, tuple[str, ...]]:
    port = (details.get("http_options") or {}).get("port")
    proxies = (details.get("proxies") or {}).values()
    hosts = [str(proxy["node_ip"]) for proxy in proxies if proxy.get("status") == "HEALTHY"]
    return port, tuple(sorted(hosts))


def progress(deployed: Deployed) -> str:
    """One line of how far it is."""
    tiers = [f"{tier.tier} {tier.running}/{tier.target}" for tier in deployed.tiers]
    return ", ".join([deployed.status.lower().replace("_", " "), *tiers])


def read_reports(told: Any) -> dict[str, dict[str, Any]]:
    """What ``GET /replicas/status`` told of each replica, by its id; nothing where that cannot be read."""
    try:
        return {str(report["replica"]["id"]): report for report in told["replicas"]}
    except (KeyError, TypeError):
        return {}


def status_lines(deployed: Deployed, reports: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """For people."""
    if deployed.status == "NOT_STARTED":
        return ["No decode workers are deployed there."]
    rows = [("TIER", "STATE", "REPLICA", "NODE", "PID", "BUSY", "WAITING", "GATEWAYS")]
    for tier in deployed.tiers:
        for replica in tier.replicas:
            busy, waiting, links = _figures(reports.get(replica.id))
            pid = str(replica.pid or "")
            rows.append((tier.tier, replica.state, replica.id, replica.node, pid, busy, waiting, links))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    return [progress(deployed), *(line.rstrip() for line in table), *deployed.trouble.splitlines()]


def _figures(report: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if report is None:
        return "", "", ""
    replica = report["replica"]
    state = " draining" if replica.get("draining") else ""
    return (
        f"{report['busy']}/{replica['calls']}{state}",
        f"{report['queued_audio_s']:.1f} s",
        str(report["links"]),
    )


def status_json(deployed: Deployed, reports: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """For scripts."""
    return {
        "status": deployed.status,
        "ready": deployed.is_ready,
        "message": deployed.message,
        "tiers": {
            tier.tier.value: {
                "status": tier.status,
                "message": tier.message,
                "wanted": tier.target,
                "running": tier.running,
                "replicas": [
                    asdict(replica) | {"report": reports.get(replica.id)} for replica in tier.replicas
                ],
            }
            for tier in deployed.tiers
        },
    }
