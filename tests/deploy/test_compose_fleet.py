"""``compose.fleet.yaml``: right by the specification's schema, who waits for whom, and nginx in front."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtc_stt.config import Workers
from rtc_stt.config_keys import Values, build, read_env_file
from signaling.settings import Server
from signaling.shared.settings import Sharing
from signaling.udp import parse_port_range
from tests.deploy.test_compose import ADDRESS, DEPLOY, KNOWN, example, load, validator
from tools.images.dockerfile import parse, stages
from tools.ports import free_port

Services = dict[str, dict[str, Any]]
GATEWAYS = ("gateway-a", "gateway-b")
RAY = ("ray-head", "ray-worker-1", "ray-worker-2")
END = {"models", "application"}
"""Services that do something and end."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load(example(), "compose.fleet.yaml")


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> Services:
    told: Services = compose["services"]
    return told


def test_it_is_right_by_the_schema_of_the_specification(compose: dict[str, Any]) -> None:
    assert [error.message for error in validator().iter_errors(compose)] == []


def test_its_variables_are_those_of_the_example() -> None:
    text = (DEPLOY / "compose.fleet.yaml").read_text()
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) <= example().keys()
    for name, default in re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text):
        assert example()[name] == default


def test_all_are_confined(services: Services) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].split(":")[0] not in ("0", "root"), name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc"}, name
        assert name == "models" or "memory" in service["deploy"]["resources"]["limits"], name


def test_images_have_a_version_and_targets_exist(services: Services) -> None:
    built = {stage.name for stage in stages(parse((DEPLOY / "docker" / "Dockerfile").read_text()))}
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        if "build" in service:
            target = service["build"]["target"]
            assert target in built
            assert service["image"] == f"rtc-stt-{target}:{example()['VERSION']}"


def test_nobody_outside_reaches_redis_ray_or_a_gateway_over_http(
    compose: dict[str, Any], services: Services
) -> None:
    assert compose["networks"]["back"] == {"internal": True}
    for name in ("redis", *RAY, "application"):
        assert services[name]["networks"] == ["back"]
        assert "ports" not in services[name]
    for name in GATEWAYS:
        assert all(port.endswith("/udp") for port in services[name]["ports"])
    assert services["balancer"]["ports"] == ["127.0.0.1:8080:8080"]


def waits(services: Services, name: str) -> dict[str, str]:
    return {other: how["condition"] for other, how in services[name].get("depends_on", {}).items()}


def test_who_waits_for_whom(services: Services) -> None:
    assert waits(services, "ray-head") == {"models": "service_completed_successfully"}
    for name in RAY[1:]:
        assert waits(services, name) == {"ray-head": "service_healthy"}
    assert waits(services, "application") == dict.fromkeys(RAY[1:], "service_healthy")
    for name in GATEWAYS:
        assert waits(services, name)["application"] == "service_completed_successfully"
        assert waits(services, name)["redis"] == "service_started", "a gateway goes on without it"
    assert waits(services, "balancer")["gateway-a"] == "service_healthy"
    for name, service in services.items():
        asked = name not in END
        assert (service.get("healthcheck", {}).get("test", [""])[0] == "CMD") == asked, name


def test_gateways_differ_where_they_must(services: Services) -> None:
    told = [services[name]["environment"] for name in GATEWAYS]
    assert {one["NODE_NAME"] for one in told} == {"a", "b"}
    assert [one["NODE_URL"] for one in told] == [f"http://{name}:8080" for name in GATEWAYS]
    ports = [parse_port_range(one["UDP_PORT_RANGE"]) for one in told]
    assert all(ports)
    assert not set(ports[0] or ()) & set(ports[1] or ())
    for one, own, name in zip(told, ports, GATEWAYS, strict=True):
        assert one.keys() <= KNOWN | {"CONFIG_PATH"}
        assert services[name]["ports"] == [f"{one['UDP_PORT_RANGE']}:{one['UDP_PORT_RANGE']}/udp"]
        assert len(own or ()) >= int(one["MAX_SESSIONS"]) * len(services[name]["networks"]) * 1.2
        stop = float(services[name]["stop_grace_period"].removesuffix("s"))
        assert stop >= float(one["DRAIN_SECONDS"]) + 20
    states = {volume for name in GATEWAYS for volume in services[name]["volumes"]}
    assert len(states) == len(GATEWAYS), "each writes a ledger of its own"


def test_gateways_ask_every_node_where_the_replicas_are(services: Services) -> None:
    values = services["gateway-a"]["environment"] | {"WORKERS_KEY": "k" * 16}
    engine = build(Workers, Values({name: (values[name], "") for name in ("ENGINE", "WORKERS_KEY")}))
    assert [place.split(":")[0] for place in engine.places] == list(RAY)


def test_the_keys_of_ray_are_in_no_command_and_no_environment(services: Services) -> None:
    for name in RAY:
        assert "WORKERS_KEY" not in services[name]["environment"]
        assert "cat /run/secrets/workers" in services[name]["command"][0]
        assert services[name]["secrets"] == ["workers"]


def test_what_prepare_writes_is_a_configuration(tmp_path: Path, services: Services) -> None:
    for name in ("prepare.sh", ".env.example"):
        (tmp_path / name).write_bytes((DEPLOY / name).read_bytes())
    subprocess.run(["sh", str(tmp_path / "prepare.sh"), ADDRESS], check=True, capture_output=True)
    secrets = tmp_path / "secrets"
    values = read_env_file(secrets / "fleet.env", KNOWN)
    sharing, workers = build(Sharing, values), build(Workers, values)
    password = (secrets / "redis.password").read_text().strip()
    assert sharing.redis_url == f"redis://:{password}@redis:6379/0"
    assert (secrets / "redis.conf").read_text() == f"requirepass {password}\n"
    assert workers.workers_key == (secrets / "workers.key").read_text().strip()
    assert build(Server, values).drain_seconds >= 0


# ── nginx ────────────────────────────────────────────────────────────


def nginx_takes(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """The configuration of the container, with names and places of this machine."""
    text = re.sub(r"gateway-[ab]:8080", "127.0.0.1:1", text)
    text = text.replace("/etc/nginx/rtc-stt-proxy.conf", str(DEPLOY / "proxy" / "rtc-stt-proxy.conf"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{free_port()}").replace(
        "/dev/stdout", str(folder / "access")
    )
    (folder / "whole.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/error;\nevents {{}}\nhttp {{\n{text}\n}}\n"
    )
    command = ["nginx", "-t", "-c", str(folder / "whole.conf")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.e2e
def test_nginx_takes_the_balancers_configuration(tmp_path: Path) -> None:
    assert shutil.which("nginx"), "tools/ensure_operations.sh installs it"
    text = (DEPLOY / "proxy" / "fleet.conf").read_text()
    done = nginx_takes(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert nginx_takes(tmp_path, text.replace("least_conn;", "least_conns;")).returncode != 0


def test_the_balancer_sends_to_both_and_trusts_who_is_in_front(services: Services) -> None:
    text = (DEPLOY / "proxy" / "fleet.conf").read_text()
    assert re.findall(r"^    server (\S+)", text, re.M) == [f"{name}:8080" for name in GATEWAYS]
    assert "least_conn;" in text
    address = services["balancer"]["networks"]["front"]["ipv4_address"]
    assert services["gateway-a"]["environment"]["TRUSTED_PROXIES"] == address
    gateway = yaml.safe_load((DEPLOY / "compose.fleet.yaml").read_text())["networks"]["front"]["ipam"]
    assert f"set_real_ip_from {gateway['config'][0]['gateway']};" in text
