"""What has to be true of the workers' part of the manifests: a RayService, and who talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from rtc_stt.replicas.replica import MAX_REPLICAS
from tests.deploy.manifest_checks import USER, check
from tests.deploy.manifests import (
    Document,
    config_of,
    container,
    deployment,
    of,
    of_kind,
    ray_pods,
)

__all__ = ["SERVICE_SCHEMA", "serve_config"]

OBJECT: dict[str, Any] = {"type": "object"}


def _only(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNT = {"type": "integer", "minimum": 0}

SERVICE_SCHEMA = _only(
    "serveConfigV2",
    "rayClusterConfig",
    serveConfigV2={"type": "string"},
    serveService=_only("metadata", "spec", metadata=OBJECT, spec=OBJECT),
    rayClusterDeletionDelaySeconds=_COUNT,
    rayClusterConfig=_only(
        "rayVersion",
        "headGroupSpec",
        "workerGroupSpecs",
        rayVersion={"type": "string"},
        enableInTreeAutoscaling={"type": "boolean"},
        autoscalerOptions=_only(idleTimeoutSeconds=_COUNT, securityContext=OBJECT),
        gcsFaultToleranceOptions=_only(
            "redisAddress",
            redisAddress={"type": "string"},
            redisPassword=_only("valueFrom", valueFrom=OBJECT),
        ),
        headGroupSpec=_only("rayStartParams", "template", rayStartParams=_PARAMETERS, template=OBJECT),
        workerGroupSpecs={
            "type": "array",
            "minItems": 1,
            "items": _only(
                *("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"),
                groupName={"type": "string"},
                replicas=_COUNT,
                minReplicas=_COUNT,
                maxReplicas=_COUNT,
                rayStartParams=_PARAMETERS,
                template=OBJECT,
            ),
        },
    ),
)
"""As much of ``RayServiceSpec`` (ray.io/v1, KubeRay 1.4) as the chart uses."""


def serve_config(documents: list[Document]) -> Document:
    """What Ray Serve is told to run."""
    (service,) = of_kind(documents, "RayService")
    told: Document = yaml.safe_load(service["spec"]["serveConfigV2"])
    return told


@check
def workers(documents: list[Document]) -> Iterator[str]:
    """Ray Serve runs ours, with models that are there and GPUs that pods have; gateways find it."""
    for service in of_kind(documents, "RayService"):
        told = serve_config(documents)
        (application,) = told["applications"]
        if application["import_path"] != "rtc_stt.ray_serve:build":
            yield "Ray Serve runs something else"
        host, port = service["spec"]["serveService"]["metadata"]["name"], told["http_options"]["port"]
        if config_of(documents, deployment(documents, "gateway"))["ENGINE"] != f"ray://{host}:{port}":
            yield "gateways ask for replicas elsewhere"
        if service["spec"]["serveService"]["spec"]["ports"][0]["port"] != port:
            yield "the Service leads to another port"
        yield from _replicas(documents, application)


def _replicas(documents: list[Document], application: Document) -> Iterator[str]:
    (service,) = of_kind(documents, "RayService")
    group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    one = group["template"]["spec"]["containers"][0]
    gpus = one["resources"]["limits"].get("nvidia.com/gpu", 0)
    mounted = {mount["mountPath"] for mount in one["volumeMounts"] if mount.get("readOnly")}
    for tier in application["args"]["tiers"].values():
        if tier["path"] not in ("/models/small", "/models/medium") or "/models" not in mounted:
            yield "a replica's model is not at /models, read-only"
    wanted = 0.0
    for told in application["deployments"]:
        share = told["ray_actor_options"]["num_gpus"]
        count = told["autoscaling_config"]
        wanted += share * count["min_replicas"]
        if not 0 <= count["min_replicas"] <= count["max_replicas"] <= MAX_REPLICAS:
            yield "a tier has more replicas than it may have"
        if share > gpus:
            yield "a replica wants more of a GPU than a pod has"
    if wanted > gpus * group["minReplicas"]:
        yield "the fewest pods have no room for the fewest replicas"
    if (gpus > 0) != one["image"].endswith("-cuda"):
        yield "workers: GPU and image do not agree"


@check
def ray_pods_are_confined(documents: list[Document]) -> Iterator[str]:
    """As all others are; and keys come by reference."""
    for name, template in ray_pods(documents).items():
        spec, one = template["spec"], template["spec"]["containers"][0]
        context = spec["securityContext"]
        if not context["runAsNonRoot"] or context["runAsUser"] != USER or spec.get("hostNetwork"):
            yield f"{name} runs as somebody else, or has a part of the node"
        if one["securityContext"] != {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }:
            yield f"{name} may do too much"
        if "memory" not in one["resources"]["limits"] or "cpu" not in one["resources"]["requests"]:
            yield f"{name} has no bounds"
        writable = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
        if writable != {"/tmp", "/dev/shm"}:  # noqa: S108 — in the container
            yield f"{name} writes elsewhere, or Ray cannot"
        keys = {item["name"]: item for item in one["env"]}
        if "secretKeyRef" not in keys["WORKERS_KEY"].get("valueFrom", {}):
            yield f"{name}: WORKERS_KEY is written out"
        if name == "worker" and spec.get("automountServiceAccountToken") is not False:
            yield "a worker gets a token"
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if one[probe]["exec"]["command"][:3] != ["python", "-m", "rtc_stt.health"]:
                yield f"{name}: {probe} wants a program that the image has not"


@check
def sharing(documents: list[Document]) -> Iterator[str]:
    """Gateways of one Redis reach each other, and have its URL by reference."""
    one = container(deployment(documents, "gateway"))
    told = {item["name"]: item for item in one["env"]}
    config = config_of(documents, deployment(documents, "gateway"))
    if config.get("RESUME_ACROSS_NODES") == "true" and "REDIS_URL" not in told:
        yield "sessions would be resumed elsewhere, and nothing is shared"
    if "REDIS_URL" in told:
        if "secretKeyRef" not in told["REDIS_URL"].get("valueFrom", {}):
            yield "REDIS_URL is written out"
        names = [item["name"] for item in one["env"]]
        if names.index("POD_IP") > names.index("NODE_URL"):
            yield "NODE_URL is made of what is not known yet"
        if told["NODE_URL"]["value"] != f"http://$(POD_IP):{config['PORT']}":
            yield "the other gateways do not reach this one"
        policies = {it["metadata"]["name"] for it in of_kind(documents, "NetworkPolicy")}
        if "rtc-stt-gateway" in policies:
            rules = of(documents, "NetworkPolicy", "rtc-stt-gateway")["spec"]
            own = {"app.kubernetes.io/component": "gateway"}.items()
            for way, key in (("ingress", "from"), ("egress", "to")):
                peers = [peer for rule in rules[way] for peer in rule.get(key, ())]
                if not any(
                    own <= peer.get("podSelector", {}).get("matchLabels", {}).items() for peer in peers
                ):
                    yield f"gateways do not reach each other ({way})"
