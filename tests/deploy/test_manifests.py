"""The manifests say what docs/deploy.md and the code say; each check can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from rtc_stt.cli import main
from tests.deploy.manifest_checks import CHECKS, problems
from tests.deploy.manifests import ROLES, ROOT, SETS, container, deployment, load, of, of_kind, pod, role_of
from tools.chart.values_schema import TRACE_KEYS

Documents = list[dict[str, Any]]
OF_FLEETS = {"workers", "ray_pods_are_confined", "sharing"}
"""Checks of ``ray_checks.py``, and their mistakes in ``test_manifests_fleet.py``."""

MONITOR = {
    "type": "object",
    "required": ["selector", "endpoints"],
    "additionalProperties": False,
    "properties": {
        "selector": {
            "type": "object",
            "required": ["matchLabels"],
            "additionalProperties": False,
            "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}},
        },
        "endpoints": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "port": {"type": "string"},
                    "path": {"const": "/metrics"},
                    "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
                    "authorization": {
                        "type": "object",
                        "required": ["credentials"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": "Bearer"},
                            "credentials": {
                                "type": "object",
                                "required": ["name", "key"],
                                "additionalProperties": False,
                                "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
                            },
                        },
                    },
                    "relabelings": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["targetLabel"],
                            "additionalProperties": False,
                            "properties": {
                                "targetLabel": {"type": "string"},
                                "replacement": {"type": "string"},
                                "sourceLabels": {"type": "array", "items": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        },
    },
}
"""As much of the operator's ``ServiceMonitorSpec`` as the chart uses."""


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_wrong_with_them(name: str) -> None:
    assert problems(load(name)) == []


def test_all_sets_are_kept() -> None:
    values = {path.name for path in (ROOT / "deploy/helm/rtc-stt/ci").iterdir()}
    assert values == {f"{name}-values.yaml" for name in SETS}
    assert {path.stem for path in (ROOT / "deploy/manifests").iterdir()} == set(SETS)


def twice(documents: Documents) -> None:
    documents.append(documents[0])


def other_namespace(documents: Documents) -> None:
    documents[0]["metadata"]["namespace"] = "default"


def selects_another(documents: Documents) -> None:
    of(documents, "Service", "rtc-stt-gateway")["spec"]["selector"]["app.kubernetes.io/component"] = (
        "fallback"
    )


def selects_all(documents: Documents) -> None:
    del of(documents, "PodDisruptionBudget", "rtc-stt-primary")["spec"]["selector"]["matchLabels"][
        "app.kubernetes.io/component"
    ]


def monitors_less(documents: Documents) -> None:
    del of(documents, "Service", "rtc-stt-primary")["metadata"]["labels"]["app.kubernetes.io/part-of"]


def no_budget(documents: Documents) -> None:
    documents.remove(of(documents, "PodDisruptionBudget", "rtc-stt-primary"))


def no_volume(documents: Documents) -> None:
    pod(deployment(documents, "primary"))["volumes"].pop()


def no_port(documents: Documents) -> None:
    of(documents, "Service", "rtc-stt-gateway")["spec"]["ports"][0]["targetPort"] = 80


def fixed_and_scaled(documents: Documents) -> None:
    deployment(documents, "primary")["spec"]["replicas"] = 1


def ingress_astray(documents: Documents) -> None:
    of(documents, "Service", "rtc-stt-gateway")["spec"]["ports"][0]["name"] = "web"


def unknown_key(documents: Documents) -> None:
    of(documents, "ConfigMap", "rtc-stt-gateway")["data"]["MAX_SESSION"] = "3"


def fallback_elsewhere(documents: Documents) -> None:
    of(documents, "ConfigMap", "rtc-stt-gateway")["data"]["FALLBACK_URL"] = "http://fallback:8082"


def models_writable(documents: Documents) -> None:
    for mount in container(deployment(documents, "gateway"))["volumeMounts"]:
        mount.pop("readOnly", None)


def service_links(documents: Documents) -> None:
    del pod(deployment(documents, "gateway"))["enableServiceLinks"]


def too_few_ports(documents: Documents) -> None:
    of(documents, "ConfigMap", "rtc-stt-gateway")["data"]["UDP_PORT_RANGE"] = "30000-30009"


def several_behind_one(documents: Documents) -> None:
    deployment(documents, "gateway")["spec"]["replicas"] = 2


def no_address(documents: Documents) -> None:
    env = container(deployment(documents, "gateway"))["env"]
    env.remove(next(item for item in env if item["name"] == "PUBLIC_IP"))


def probe_astray(documents: Documents) -> None:
    container(deployment(documents, "gateway"))["readinessProbe"]["httpGet"]["path"] = "/healthz"


def short_start(documents: Documents) -> None:
    container(deployment(documents, "fallback"))["startupProbe"]["failureThreshold"] = 3


def slow_readiness(documents: Documents) -> None:
    container(deployment(documents, "fallback"))["readinessProbe"]["periodSeconds"] = 10


def short_grace(documents: Documents) -> None:
    pod(deployment(documents, "gateway"))["terminationGracePeriodSeconds"] = 30


def no_sleep(documents: Documents) -> None:
    del container(deployment(documents, "gateway"))["lifecycle"]


def gap(documents: Documents) -> None:
    deployment(documents, "primary")["spec"]["strategy"]["rollingUpdate"] = {
        "maxUnavailable": 1,
        "maxSurge": 0,
    }


def root(documents: Documents) -> None:
    pod(deployment(documents, "fallback"))["securityContext"]["runAsUser"] = 0


def capable(documents: Documents) -> None:
    container(deployment(documents, "gateway"))["securityContext"]["capabilities"]["add"] = ["NET_ADMIN"]


def capable_before(documents: Documents) -> None:
    pod(deployment(documents, "fallback"))["initContainers"][0]["securityContext"][
        "readOnlyRootFilesystem"
    ] = False


def latest(documents: Documents) -> None:
    container(deployment(documents, "gateway"))["image"] = "rtc-stt-gateway:latest"


def of_the_node(documents: Documents) -> None:
    pod(deployment(documents, "fallback"))["volumes"].append({"name": "x", "hostPath": {"path": "/"}})


def readable_keys(documents: Documents) -> None:
    (volume,) = (it for it in pod(deployment(documents, "gateway"))["volumes"] if it["name"] == "keys")
    volume["secret"]["defaultMode"] = 0o444


def written_secret(documents: Documents) -> None:
    container(deployment(documents, "primary"))["env"] = [{"name": "FALLBACK_API_KEY", "value": "x"}]


def secret_in_config(documents: Documents) -> None:
    of(documents, "ConfigMap", "rtc-stt-gateway")["data"]["TURN_SECRET"] = "x"


def keys_of_others(documents: Documents) -> None:
    (volume,) = (it for it in pod(deployment(documents, "fallback"))["volumes"] if it["name"] == "keys")
    volume["secret"]["items"][0]["key"] = "keys"


def two_gpus(documents: Documents) -> None:
    container(deployment(documents, "fallback"))["resources"]["limits"]["nvidia.com/gpu"] = 2


def no_cuda(documents: Documents) -> None:
    container(deployment(documents, "fallback"))["image"] = "rtc-stt-fallback:0.1.0"


def unknown_metric(documents: Documents) -> None:
    spec = of(documents, "HorizontalPodAutoscaler", "rtc-stt-primary")["spec"]
    spec["metrics"][0]["pods"]["metric"]["name"] = "stt_queue"


def scaled_when_full(documents: Documents) -> None:
    spec = of(documents, "HorizontalPodAutoscaler", "rtc-stt-gateway")["spec"]
    spec["metrics"][0]["pods"]["target"]["averageValue"] = "32"


MISTAKES: list[tuple[str, str, Callable[[Documents], None]]] = [
    ("names", "zones", twice),
    ("names", "zones", other_namespace),
    ("selectors", "zones", selects_another),
    ("selectors", "zones", selects_all),
    ("selectors", "zones", monitors_less),
    ("selectors", "zones", no_budget),
    ("references", "zones", no_volume),
    ("references", "gpu", no_port),
    ("references", "zones", fixed_and_scaled),
    ("references", "zones", ingress_astray),
    ("environment", "gpu", unknown_key),
    ("environment", "gpu", fallback_elsewhere),
    ("environment", "zones", models_writable),
    ("environment", "zones", service_links),
    ("media", "one-node-cpu", too_few_ports),
    ("media", "one-node-cpu", several_behind_one),
    ("media", "gpu", no_address),
    ("probes", "gpu", probe_astray),
    ("probes", "gpu", short_start),
    ("probes", "gpu", slow_readiness),
    ("ends", "gpu", short_grace),
    ("ends", "gpu", no_sleep),
    ("rollout", "gpu", gap),
    ("confined", "gpu", root),
    ("confined", "gpu", capable),
    ("confined", "gpu", capable_before),
    ("confined", "gpu", latest),
    ("confined", "gpu", of_the_node),
    ("confined", "gpu", readable_keys),
    ("secrets", "gpu", written_secret),
    ("secrets", "gpu", secret_in_config),
    ("secrets", "gpu", keys_of_others),
    ("gpus", "gpu", two_gpus),
    ("gpus", "gpu", no_cuda),
    ("scaling", "zones", unknown_metric),
    ("scaling", "zones", scaled_when_full),
]


@pytest.mark.parametrize(("name", "values", "mistake"), MISTAKES, ids=lambda it: getattr(it, "__name__", it))
def test_a_mistake_is_told(name: str, values: str, mistake: Callable[[Documents], None]) -> None:
    documents = load(values)
    mistake(documents)
    assert problems(documents, name)


def test_every_check_has_a_mistake() -> None:
    assert {name for name, _, _ in MISTAKES} == set(CHECKS) - OF_FLEETS


@pytest.mark.parametrize("name", SETS)
def test_the_services_take_their_configuration(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-sixteen-and-more name=operator\n")
    keys.chmod(0o600)
    servers = [it for it in of_kind(load(name), "ConfigMap") if role_of(it) in ROLES]
    for config in servers:
        told = config["data"] | {"API_KEYS_FILE": str(keys)}
        if "TURN_URL" in told:
            told["TURN_SECRET"] = "of-the-secret"
        if "ENGINE" in told:
            told |= {"WORKERS_KEY": "w" * 16, "REDIS_URL": "redis://redis.data:6379"}
            told["TOKEN_SECRET"] = "t" * 32
        file = tmp_path / config["metadata"]["name"]
        file.write_text("".join(f"{key}={value}\n" for key, value in told.items() if key not in TRACE_KEYS))
        assert main(["config", "check", "--config", str(file)]) == 0, capsys.readouterr().err


def test_the_operator_takes_what_is_for_it() -> None:
    documents = load("zones")
    (monitor,) = of_kind(documents, "ServiceMonitor")
    validator = jsonschema_rs.validator_for(MONITOR)
    validator.validate(monitor["spec"])
    assert not validator.is_valid(monitor["spec"] | {"endpoint": []})
    relabelled = {it["targetLabel"]: it for it in monitor["spec"]["endpoints"][0]["relabelings"]}
    assert relabelled["job"]["replacement"] == "rtc-stt"
    assert relabelled["role"]["sourceLabels"] == [
        "__meta_kubernetes_service_label_app_kubernetes_io_component"
    ]


def test_the_rules_are_those_of_prometheus() -> None:
    rules = {rule["metadata"]["name"]: rule["spec"] for rule in of_kind(load("zones"), "PrometheusRule")}
    for name in ("slo", "alerts"):
        written = yaml.safe_load((ROOT / f"deploy/prometheus/{name}.rules.yml").read_text(encoding="utf-8"))
        assert rules[f"rtc-stt-{name}"] == written


def test_the_sets_differ_as_they_say() -> None:
    gateways = {name: deployment(load(name), "gateway") for name in SETS}
    assert [name for name in SETS if pod(gateways[name]).get("hostNetwork")] == ["gpu"]
    assert [name for name in SETS if of_kind(load(name), "HorizontalPodAutoscaler")] == ["zones"]
    spread = {
        it["topologyKey"]: it["whenUnsatisfiable"]
        for it in pod(gateways["zones"])["topologySpreadConstraints"]
    }
    assert spread["topology.kubernetes.io/zone"] == "DoNotSchedule"
    assert {
        role
        for role in ROLES
        for it in of_kind(load("zones"), "Deployment")
        if role in it["metadata"]["name"]
    } == set(ROLES)
