"""Gateway, primary and fallback with the demo models, and a Prometheus that scrapes them as
``deploy/prometheus`` says, but every second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.ingest.cycles import Watched
from tools.ports import free_port
from tools.scrape.prometheus import Api, started

__all__ = ["KEY", "SESSIONS", "Fleet", "running"]

CONFIG = Path(__file__).parents[2] / "deploy" / "prometheus"
KEY = "a-key-of-dashboards-only"

SESSIONS = 4
"""So many that a fifth is turned away."""

MEDIA_PORTS = 40

SCRAPED_S = 20.0
"""Prometheus looks for targets every five seconds."""


@dataclass(frozen=True)
class Fleet:
    """All of them run."""

    gateway: str
    """URLs."""
    primary: str
    fallback: str
    audiosocket: int
    """A port."""
    media: range
    """UDP ports of the gateway."""
    prometheus: Api


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Fleet]:
    """Start everything, and end it after.

    Raises:
        RuntimeError: something does not come up.
    """
    common = {"API_KEYS": KEY, "RATE_LIMIT_RPS": "1000", "RATE_LIMIT_BURST": "1000"}
    ports = {
        role: free_port() for role in ("gateway", "primary", "fallback", "prometheus", "phones", "nobody")
    }
    urls = {role: f"http://127.0.0.1:{ports[role]}" for role in ("gateway", "primary", "fallback")}
    media = range(first := min(free_port(), 65_535 - MEDIA_PORTS), first + MEDIA_PORTS)
    behind = {"FALLBACK_URL": urls["fallback"], "FALLBACK_API_KEY": KEY}
    phones = {
        "MAX_SESSIONS": str(SESSIONS),
        "MAX_CALLS": "1",
        "MEDIA_WORKERS": "1",
        "UDP_PORT_RANGE": f"{media[0]}-{media[-1]}",
        "AUDIOSOCKET_PORT": str(ports["phones"]),
        "WEBHOOK_URL": f"http://127.0.0.1:{ports['nobody']}/",
        "WEBHOOK_SECRET": f"{KEY}-{KEY}",
        "USAGE_DB": str(folder / "usage.sqlite"),
        "DRAIN_SECONDS": "1",
    }
    asked = {
        "gateway": (("demo",), behind | phones),
        "primary": (("primary", "--demo"), behind),
        "fallback": (("fallback", "--demo"), {}),
    }
    with contextlib.ExitStack() as stack:
        services = []
        for role, (command, more) in asked.items():
            arguments = (*command, "--port", str(ports[role]))
            services.append(service := Watched(folder, *arguments, **(common | more)))
            stack.callback(service.stop)
        own = ports["prometheus"]
        prometheus = stack.enter_context(started(folder, configure(folder, urls, own), own))
        for service in services:
            service.url()
        _wait_for(prometheus)
        yield Fleet(**urls, audiosocket=ports["phones"], media=media, prometheus=prometheus)


def _wait_for(prometheus: Api) -> None:
    """Until all three are scraped: what rises before that, nobody sees rise."""
    deadline = time.monotonic() + SCRAPED_S
    while len(prometheus.query('up{job="rtc-stt"} == 1')) < 3:
        if time.monotonic() > deadline:
            raise RuntimeError("Prometheus does not reach the services")
        time.sleep(0.1)


def configure(folder: Path, urls: dict[str, str], own: int) -> Path:
    """Our configuration with other addresses, asked every second; rules are evaluated as often.

    Args:
        own: the port of Prometheus, which scrapes itself.
    """
    told: dict[str, Any] = yaml.safe_load((CONFIG / "prometheus.yml").read_text(encoding="utf-8"))
    told["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for name in told["rule_files"]:
        rules = (CONFIG / name).read_text(encoding="utf-8").replace("interval: 30s", "interval: 1s")
        (folder / name).write_text(rules, encoding="utf-8")
    for job in told["scrape_configs"]:
        for group in job["static_configs"]:
            role = group.get("labels", {}).get("role")
            group["targets"] = [urls[role].removeprefix("http://") if role else f"127.0.0.1:{own}"]
    (folder / "rtc-stt.key").write_text(KEY, encoding="ascii")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path
