"""The manifests of a fleet; each check can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import yaml

from rtc_stt.cli.common import GROUPS
from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build, keys
from rtc_stt.replicas.application import make_config
from rtc_stt.replicas.plan import make_plans
from rtc_stt.replicas.settings import Replicas
from tests.deploy.manifest_checks import problems
from tests.deploy.manifests import ROOT, SETS, container, deployment, load, of, of_kind, ray_pods
from tests.deploy.ray_checks import SERVICE_SCHEMA, serve_config
from tools.chart.__main__ import KUBERAY
from tools.chart.values_schema import REPLICA_KEYS

Documents = list[dict[str, Any]]
MINE = ("workers", "ray_pods_are_confined", "sharing")


def spec(documents: Documents) -> dict[str, Any]:
    (service,) = of_kind(documents, "RayService")
    found: dict[str, Any] = service["spec"]
    return found


def serves(documents: Documents, change: Callable[[dict[str, Any]], None]) -> None:
    """Ray Serve is told something else of the application."""
    told = serve_config(documents)
    change(told["applications"][0])
    spec(documents)["serveConfigV2"] = yaml.safe_dump(told)


def ray_container(documents: Documents, name: str) -> dict[str, Any]:
    found: dict[str, Any] = ray_pods(documents)[name]["spec"]["containers"][0]
    return found


def runs_another(documents: Documents) -> None:
    serves(documents, lambda told: told.update(import_path="ray.serve:build"))


def asked_elsewhere(documents: Documents) -> None:
    spec(documents)["serveService"]["metadata"]["name"] = "rtc-stt-serve"


def no_such_model(documents: Documents) -> None:
    serves(documents, lambda told: told["args"]["tiers"]["fast"].update(path="/models/large"))


def too_many_gpus(documents: Documents) -> None:
    serves(documents, lambda told: told["deployments"][0]["ray_actor_options"].update(num_gpus=2))


def no_room(documents: Documents) -> None:
    serves(documents, lambda told: told["deployments"][0]["autoscaling_config"].update(min_replicas=7))


def without_cuda(documents: Documents) -> None:
    ray_container(documents, "worker")["image"] = "rtc-stt-workers:0.1.0"


def root(documents: Documents) -> None:
    ray_pods(documents)["head"]["spec"]["securityContext"]["runAsUser"] = 0


def capable(documents: Documents) -> None:
    ray_container(documents, "worker")["securityContext"]["readOnlyRootFilesystem"] = False


def written_key(documents: Documents) -> None:
    (key,) = (it for it in ray_container(documents, "head")["env"] if it["name"] == "WORKERS_KEY")
    del key["valueFrom"]
    key["value"] = "x"


def token(documents: Documents) -> None:
    del ray_pods(documents)["worker"]["spec"]["automountServiceAccountToken"]


def wget(documents: Documents) -> None:
    ray_container(documents, "worker")["livenessProbe"]["exec"]["command"] = ["bash", "-c", "wget …"]


def nowhere_to_write(documents: Documents) -> None:
    ray_container(documents, "worker")["volumeMounts"].pop()


def written_url(documents: Documents) -> None:
    (url,) = (it for it in container(deployment(documents, "gateway"))["env"] if it["name"] == "REDIS_URL")
    del url["valueFrom"]


def other_port(documents: Documents) -> None:
    (url,) = (it for it in container(deployment(documents, "gateway"))["env"] if it["name"] == "NODE_URL")
    url["value"] = "http://$(POD_IP):80"


def apart(documents: Documents) -> None:
    rules = of(documents, "NetworkPolicy", "rtc-stt-gateway")["spec"]
    rules["egress"] = [rule for rule in rules["egress"] if "gateway" not in json.dumps(rule.get("to", ""))]


def resumes_and_does_not_share(documents: Documents) -> None:
    env = container(deployment(documents, "gateway"))["env"]
    env.remove(next(it for it in env if it["name"] == "REDIS_URL"))


MISTAKES: list[tuple[str, Callable[[Documents], None]]] = [
    ("workers", runs_another),
    ("workers", asked_elsewhere),
    ("workers", no_such_model),
    ("workers", too_many_gpus),
    ("workers", no_room),
    ("workers", without_cuda),
    ("ray_pods_are_confined", root),
    ("ray_pods_are_confined", capable),
    ("ray_pods_are_confined", written_key),
    ("ray_pods_are_confined", token),
    ("ray_pods_are_confined", wget),
    ("ray_pods_are_confined", nowhere_to_write),
    ("sharing", written_url),
    ("sharing", other_port),
    ("sharing", apart),
    ("sharing", resumes_and_does_not_share),
]


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_wrong_with_them(name: str) -> None:
    assert problems(load(name), *MINE) == []


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=lambda it: getattr(it, "__name__", it))
def test_a_mistake_is_told(name: str, mistake: Callable[[Documents], None]) -> None:
    documents = load("fleet")
    mistake(documents)
    assert problems(documents, name)


def test_kuberay_takes_what_is_for_it() -> None:
    validator = jsonschema_rs.validator_for(SERVICE_SCHEMA)
    told = spec(load("fleet"))
    validator.validate(told)
    assert not validator.is_valid(told | {"rayClusterSpec": {}})
    assert not validator.is_valid(told | {"serveConfigV2": {"applications": []}}), "it is a text"


def test_the_manifests_of_the_workers_are_those_of_the_fleet() -> None:
    written = list(yaml.safe_load_all(KUBERAY.read_text(encoding="utf-8")))
    kinds = [document["kind"] for document in written]
    assert kinds == ["ServiceAccount", "RayService", "NetworkPolicy"]
    fleet = load("fleet")
    assert all(document in fleet for document in written)
    assert (ROOT / "deploy/kuberay/workers.yaml") == KUBERAY


def test_ray_is_told_what_the_command_would_tell_it() -> None:
    chosen = {
        "CT2_SMALL_PATH": "/models/small",
        "FAST_REPLICAS": "2-8",
        "FAST_GPUS": "0.3",
        "CT2_MEDIUM_PATH": "/models/medium",
        "ACCURATE_REPLICAS": "1-4",
        "ACCURATE_GPUS": "0.4",
        "COMPUTE_TYPE": "float16",
        "WORKERS_PORTS": "40000-40999",
    }
    values = Values({name: (value, "test") for name, value in chosen.items()})
    replicas = build(Replicas, values)
    wanted = make_config(make_plans(build(Decoding, values), replicas), replicas.http_port)
    assert serve_config(load("fleet")) == wanted
    assert set(REPLICA_KEYS) <= {item.name for group in GROUPS for item in keys(group).values()}


def test_the_version_of_ray_is_that_of_the_image() -> None:
    versions = (ROOT / "deploy/docker/requirements-ray.txt").read_text(encoding="utf-8")
    assert f"ray=={spec(load('fleet'))['rayClusterConfig']['rayVersion']}\n" in versions
