"""``compose.yaml``: right by the specification's schema, and what it names exists and fits together."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from rtc_stt.cli.common import GROUPS
from rtc_stt.config import Fallback
from rtc_stt.config_keys import build, keys, read_env_file
from signaling.key_file import parse_keys
from signaling.settings import Server, WebRtc
from signaling.udp import parse_port_range
from tools.images.dockerfile import expand, parse, stages

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEMA = Path(__file__).parent / "schemas" / "compose-spec.json"
OURS = {"gateway": 8080, "primary": 8081, "fallback": 8082}
KNOWN = {spec.name for group in GROUPS for spec in keys(group).values()}
ADDRESS = "192.0.2.9"
DOLLAR = "\ue000"
"""Stands for ``$$`` while variables are put in."""


def example() -> dict[str, str]:
    """The variables of .env.example, with an address."""
    lines = re.findall(r"^(\w+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.M)
    return dict(lines) | {"PUBLIC_IP": ADDRESS}


def load(variables: dict[str, str], file: str = "compose.yaml") -> dict[str, Any]:
    """The file with variables put in, as Compose does; ``$$`` is a dollar."""
    text = (DEPLOY / file).read_text()
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", r"${\1}", text)
    parts = text.split("$$")
    told: dict[str, Any] = yaml.safe_load(DOLLAR.join(expand(part, variables) for part in parts))
    return _dollars(told)


def _dollars(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _dollars(value) for name, value in told.items()}
    if isinstance(told, list):
        return [_dollars(value) for value in told]
    return told.replace(DOLLAR, "$") if isinstance(told, str) else told


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return load(example())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = compose["services"]
    return told


def of_ours(services: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Role and service, with a GPU and without."""
    for name, service in services.items():
        if (role := name.removesuffix("-gpu")) in OURS:
            yield role, service


def validator() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text()))


def test_it_is_right_by_the_schema_of_the_specification(compose: dict[str, Any]) -> None:
    assert [error.message for error in validator().iter_errors(compose)] == []


@pytest.mark.parametrize("mistake", [{"portz": []}, {"ports": 8080}, {"restart": False}, {"healthcheck": []}])
def test_a_mistake_would_be_told(compose: dict[str, Any], mistake: dict[str, Any]) -> None:
    broken = compose | {"services": {"gateway": compose["services"]["gateway"] | mistake}}
    assert not validator().is_valid(broken)


def test_every_variable_has_its_line_in_the_example() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert used == example().keys() - {"COMPOSE_PROFILES"}
    for name, default in re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text):
        assert example()[name] == default


def test_every_key_is_one_of_ours(services: dict[str, dict[str, Any]]) -> None:
    for _, service in of_ours(services):
        assert service["environment"].keys() <= KNOWN | {"CONFIG_PATH"}


def test_roles_are_what_is_agreed(services: dict[str, dict[str, Any]]) -> None:
    built = {stage.name: stage for stage in stages(parse((DEPLOY / "docker" / "Dockerfile").read_text()))}
    assert {(role, service["profiles"][0]) for role, service in of_ours(services)} == {
        (role, profile) for role in OURS for profile in ("cpu", "gpu")
    }
    for role, service in of_ours(services):
        suffix, variant = ("-cuda", "cuda") if service["profiles"] == ["gpu"] else ("", "cpu")
        assert service["image"] == f"rtc-stt-{role}:{example()['VERSION']}{suffix}"
        assert (service["build"]["target"], service["build"]["args"]["VARIANT"]) == (role, variant)
        port = next(one.text for one in built[role].instructions if one.name == "EXPOSE").split()[0]
        assert port == str(OURS[role])
        assert all(network["aliases"] == [role] for network in service["networks"].values())
        devices = service["deploy"]["resources"].get("reservations", {}).get("devices", [])
        assert [device["capabilities"] for device in devices] == ([["gpu"]] if suffix else [])


def test_ports_are_what_is_agreed(services: dict[str, dict[str, Any]]) -> None:
    for role, service in of_ours(services):
        inside = [port.split("/")[0].rsplit(":", 1)[1] for port in service.get("ports", [])]
        media = service["environment"].get("UDP_PORT_RANGE")
        wanted = {"gateway": ["8080", media], "primary": ["8081"], "fallback": []}
        assert inside == wanted[role]
    gateway = services["gateway"]
    ports = parse_port_range(gateway["environment"]["UDP_PORT_RANGE"])
    assert ports is not None
    assert set(ports) <= set(range(50000, 51000))
    on_networks = int(gateway["environment"]["MAX_SESSIONS"]) * len(gateway["networks"])
    assert len(ports) >= on_networks * 1.2, "for those who are leaving"


def test_the_fallback_talks_to_nobody(compose: dict[str, Any]) -> None:
    for name in ("fallback", "fallback-gpu"):
        networks = compose["services"][name]["networks"]
        assert all(compose["networks"][network]["internal"] for network in networks)


def test_all_are_confined(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc"}, name
        assert (
            "memory" in service.get("deploy", {}).get("resources", {}).get("limits", {}) or name == "models"
        )
    for _, service in of_ours(services):
        assert service["user"] == "10001:10001"
        assert "models:/models:ro" in service["volumes"]


def test_images_of_others_have_a_version(services: dict[str, dict[str, Any]]) -> None:
    others = {name: service["image"] for name, service in services.items() if "build" not in service}
    assert others.keys() == {"coturn", "prometheus", "grafana"}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in others.values())


def test_each_is_asked_whether_it_is_well(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        if name != "models":  # ends
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_a_drain_has_its_time(services: dict[str, dict[str, Any]]) -> None:
    for _, service in of_ours(services):
        stop = float(service["stop_grace_period"].removesuffix("s"))
        assert stop >= float(service["environment"]["DRAIN_SECONDS"]) + 20


def test_only_the_models_are_needed(services: dict[str, dict[str, Any]]) -> None:
    for _, service in of_ours(services):
        for name, how in service["depends_on"].items():
            assert (how["condition"] == "service_completed_successfully") is (name == "models")
            assert name == "models" or how["required"] is False
            assert set(service["profiles"]) <= set(services[name]["profiles"])


def test_what_is_mounted_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for text in service.get("volumes", []):
            source = text.split(":")[0]
            if source.startswith("."):
                if not source.startswith("./grafana"):
                    assert (DEPLOY / source).exists(), source
            else:
                assert source in compose["volumes"]
        for secret in service.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in compose["secrets"]


def test_prometheus_finds_everyone(services: dict[str, dict[str, Any]]) -> None:
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    targets = {group["labels"]["role"]: group["targets"] for group in jobs["rtc-stt"]["static_configs"]}
    assert targets == {role: [f"{role}:{port}"] for role, port in OURS.items()}
    mounted = {text.split(":")[1] for text in services["prometheus"]["volumes"]}
    secret = services["prometheus"]["secrets"][0]["target"]
    for file in [*told["rule_files"], "prometheus.yml"]:
        assert f"/etc/prometheus/{file}" in mounted
    assert secret == f"/etc/prometheus/{jobs['rtc-stt']['authorization']['credentials_file']}"


# ── What prepare.sh writes ──────────────────────────────────────────────────


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder, prepared."""
    folder = tmp_path_factory.mktemp("deploy")
    for name in ("prepare.sh", ".env.example"):
        (folder / name).write_bytes((DEPLOY / name).read_bytes())
    subprocess.run(["sh", str(folder / "prepare.sh"), ADDRESS], check=True, capture_output=True)
    return folder


def test_it_writes_every_secret_and_nobody_else_reads_them(prepared: Path, compose: dict[str, Any]) -> None:
    fleet = load(example(), "compose.fleet.yaml")
    for secret in [*compose["secrets"].values(), *fleet["secrets"].values()]:
        file = prepared / secret["file"]
        mode = stat.S_IMODE(file.stat().st_mode)
        assert mode == (0o440 if file.stat().st_gid == 10001 else 0o444)
    assert stat.S_IMODE((prepared / "secrets").stat().st_mode) == 0o700
    assert f"PUBLIC_IP={ADDRESS}\n" in (prepared / ".env").read_text()


def test_what_it_writes_fits_together(prepared: Path, services: dict[str, dict[str, Any]]) -> None:
    secrets = prepared / "secrets"
    known = {key.text: key.account.name for key in parse_keys((secrets / "keys").read_text(), "keys")}
    assert sorted(known.values()) == ["gateway", "operator", "prometheus"]
    assert known[(secrets / "prometheus.key").read_text().strip()] == "prometheus"
    settings = read_env_file(secrets / "rtc-stt.env", KNOWN)
    assert known[build(Fallback, settings).api_key] == "gateway"
    turn = (secrets / "turn.conf").read_text()
    assert f"static-auth-secret={build(WebRtc, settings).turn_secret}\n" in turn
    for _, service in of_ours(services):
        environment = {key: value for key, value in service["environment"].items() if key != "CONFIG_PATH"}
        file = prepared / "whole.env"
        lines = [f"{key}={value}" for key, value in environment.items()]
        file.write_text("\n".join(lines) + "\n" + (secrets / "rtc-stt.env").read_text())
        assert build(Server, read_env_file(file, KNOWN)).drain_seconds == 20


def test_a_second_time_changes_nothing(prepared: Path) -> None:
    before = {path: path.read_bytes() for path in (prepared / "secrets").iterdir()}
    subprocess.run(["sh", str(prepared / "prepare.sh"), "198.51.100.1"], check=True, capture_output=True)
    assert {path: path.read_bytes() for path in (prepared / "secrets").iterdir()} == before
    assert f"PUBLIC_IP={ADDRESS}\n" in (prepared / ".env").read_text()


@pytest.mark.parametrize("arguments", [[], ["a.example; rm -rf x"], ["1.2.3.4", "more"], ["\n1.2.3.4/x"]])
def test_without_an_address_it_writes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    script = tmp_path / "prepare.sh"
    script.write_bytes((DEPLOY / "prepare.sh").read_bytes())
    done = subprocess.run(["sh", str(script), *arguments], check=False, capture_output=True)
    assert done.returncode == 2
    assert os.listdir(tmp_path) == ["prepare.sh"]


# ── What fetches the models ──────────────────────────────────────────────────


class Fetching:
    """The service ``models``, its script run with another folder and a stand-in for ``rtc-stt``."""

    def __init__(self, service: dict[str, Any], folder: Path) -> None:
        self.models, self.asked, bin_folder = folder / "models", folder / "asked", folder / "bin"
        self.models.mkdir()
        bin_folder.mkdir()
        program = bin_folder / "rtc-stt"
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {self.asked}\n[ "$6" != away ] || exit 1\n'
            f'mkdir -p "$5/$6-1" && echo "$5/$6-1"\n'
        )
        program.chmod(0o755)
        self.entrypoint = [part.replace("/models", str(self.models)) for part in service["entrypoint"]]
        self.environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def run(self, *command: str) -> int:
        return subprocess.run([*self.entrypoint, *command], env=self.environment, check=False).returncode


@pytest.fixture
def fetching(services: dict[str, dict[str, Any]], tmp_path: Path) -> Fetching:
    return Fetching(services["models"], tmp_path)


def test_models_are_fetched_and_have_the_names_that_servers_look_for(fetching: Fetching) -> None:
    assert fetching.run("small", "tiny", "medium", "base") == 0
    assert os.readlink(fetching.models / "small") == f"{fetching.models}/tiny-1"
    assert os.readlink(fetching.models / "medium") == f"{fetching.models}/base-1"
    assert fetching.asked.read_text().startswith(
        f"models fetch --no-progress --into {fetching.models} tiny\n"
    )


def test_another_model_takes_the_place_of_one_that_was_fetched(fetching: Fetching) -> None:
    assert fetching.run("small", "tiny") == 0
    assert fetching.run("small", "base") == 0
    assert os.readlink(fetching.models / "small") == f"{fetching.models}/base-1"


def test_a_folder_that_was_put_there_is_left_alone(fetching: Fetching) -> None:
    (fetching.models / "small").mkdir()
    assert fetching.run("small", "tiny") == 0
    assert not fetching.asked.exists()


def test_what_cannot_be_fetched_is_an_error_and_names_nothing(fetching: Fetching) -> None:
    assert fetching.run("small", "away", "medium", "base") != 0
    assert list(fetching.models.iterdir()) == []


@pytest.mark.e2e
def test_prometheus_reads_its_configuration(tmp_path: Path) -> None:
    for file in (DEPLOY / "prometheus").glob("*.yml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())

    def told() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["promtool", "check", "config", str(tmp_path / "prometheus.yml")],
            capture_output=True,
            text=True,
            check=False,
        )

    assert told().returncode != 0, "the key is missing"
    (tmp_path / "rtc-stt.key").write_text("a-key\n")
    assert told().returncode == 0, told().stderr
