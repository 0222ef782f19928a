"""What has to be true of the manifests. A check yields what is wrong, in words."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator

import yaml
from aiohttp import web

from signaling import health
from signaling.openapi import describe
from tests.deploy.manifests import (
    KEYS,
    ROLES,
    ROOT,
    SECRETS,
    Document,
    config_of,
    container,
    deployment,
    matches,
    of,
    of_kind,
    pod,
    ray_pods,
    role_of,
)
from tools.chart.values_schema import TRACE_KEYS

__all__ = ["CHECKS", "problems"]

USER = 10001
GRACE_S = 20
"""Whoever stops a role waits so much longer than DRAIN_SECONDS."""

Check = Callable[[list[Document]], Iterator[str]]
CHECKS: dict[str, Check] = {}

app = web.Application()
health.add_routes(app)
PATHS = {
    path for path, operations in describe(app)["paths"].items() if operations["get"].get("security") == []
}
"""Those of health that need no key."""


def check(function: Check) -> Check:
    """Let it be one of those."""
    CHECKS[function.__name__] = function
    return function


def problems(documents: list[Document], *names: str) -> list[str]:
    """What is wrong, by these checks; by all where none is named."""
    return [told for name in names or CHECKS for told in CHECKS[name](copy.deepcopy(documents))]


@check
def names(documents: list[Document]) -> Iterator[str]:
    """Each is there once, in one namespace."""
    seen = [(document["kind"], document["metadata"]["name"]) for document in documents]
    yield from (f"{kind} {name} is there twice" for kind, name in set(seen) if seen.count((kind, name)) > 1)
    if {document["metadata"].get("namespace") for document in documents} != {"speech"}:
        yield "not all are in the namespace"


@check
def selectors(documents: list[Document]) -> Iterator[str]:
    """Who selects pods selects those of its own role, and of no other."""
    pods = {
        role_of(document): document["spec"]["template"]["metadata"]["labels"]
        for document in of_kind(documents, "Deployment")
    }
    paths = {
        "Deployment": ("selector", "matchLabels"),
        "Service": ("selector",),
        "PodDisruptionBudget": ("selector", "matchLabels"),
        "NetworkPolicy": ("podSelector", "matchLabels"),
    }
    for template in ray_pods(documents).values():
        pods["workers"] = template["metadata"]["labels"]
    for document in documents:
        if path := paths.get(document["kind"]):
            selector = document["spec"]
            for key in path:
                selector = selector[key]
            chosen = {role for role, labels in pods.items() if matches(selector, labels)}
            if chosen != {role_of(document)}:
                yield f"{document['kind']} {document['metadata']['name']} selects {sorted(chosen)}"
    for document in of_kind(documents, "Deployment"):
        for spread in pod(document)["topologySpreadConstraints"]:
            if not matches(spread["labelSelector"]["matchLabels"], pods[role_of(document)]):
                yield f"{role_of(document)} is spread by other pods"
        if not any(
            role_of(budget) == role_of(document) for budget in of_kind(documents, "PodDisruptionBudget")
        ):
            yield f"{role_of(document)} has no PodDisruptionBudget"
    pods.pop("workers", None)
    for monitor in of_kind(documents, "ServiceMonitor"):
        chosen_services = {
            service["metadata"]["name"]
            for service in of_kind(documents, "Service")
            if matches(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        }
        if chosen_services != {f"rtc-stt-{role}" for role in pods}:
            yield f"Prometheus scrapes {sorted(chosen_services)}"


@check
def references(documents: list[Document]) -> Iterator[str]:
    """What is named is there: ports, volumes, accounts, services."""
    accounts = {document["metadata"]["name"] for document in of_kind(documents, "ServiceAccount")}
    for document in of_kind(documents, "Deployment"):
        role, one, spec = role_of(document), container(document), pod(document)
        if spec["serviceAccountName"] not in accounts:
            yield f"{role}: there is no such ServiceAccount"
        volumes = {volume["name"] for volume in spec["volumes"]}
        for user in [one, *spec.get("initContainers", [])]:
            for mount in user["volumeMounts"]:
                if mount["name"] not in volumes:
                    yield f"{role}: there is no volume {mount['name']}"
        ports = {port["name"]: port["containerPort"] for port in one["ports"]}
        if ports != {"http": ROLES[role][1]}:
            yield f"{role} has the ports {ports}"
        service = of(documents, "Service", f"rtc-stt-{role}")["spec"]["ports"]
        if [(port["port"], port["targetPort"]) for port in service] != [(ROLES[role][1], "http")]:
            yield f"the Service of {role} leads elsewhere"
    for scaler in of_kind(documents, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if "replicas" in of(documents, target["kind"], target["name"])["spec"]:
            yield f"{target['name']} has a number of replicas and is scaled"
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                ports = of(documents, "Service", backend["name"])["spec"]["ports"]
                if backend["port"]["name"] not in {port["name"] for port in ports}:
                    yield "the Ingress leads to no port"


@check
def environment(documents: list[Document]) -> Iterator[str]:
    """All keys are ours, and what they say agrees with the pod and with docs/deploy.md."""
    services = {document["metadata"]["name"]: document for document in of_kind(documents, "Service")}
    for document in of_kind(documents, "Deployment"):
        role, one, config = role_of(document), container(document), config_of(documents, document)
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in one["volumeMounts"]}
        named = {item["name"] for item in one.get("env", [])}
        yield from (
            f"{role}: {key} is no key of ours"
            for key in (set(config) | named) - KEYS - set(TRACE_KEYS) - {"POD_IP"}
        )
        yield from (f"{role}: {key} is said twice" for key in set(config) & named)
        if config["PORT"] != str(ROLES[role][1]):
            yield f"{role}: PORT={config['PORT']}"
        if config.get("API_KEYS_FILE") != "/etc/rtc-stt/keys" or not mounts.get("/etc/rtc-stt"):
            yield f"{role}: keys are not at /etc/rtc-stt/keys, read-only"
        paths = {value for key, value in config.items() if key.startswith("CT2_")}
        remote = "ENGINE" in config
        if remote != (not paths) or not paths <= {"/models/small", "/models/medium"}:
            yield f"{role}: it has models, and asks for others elsewhere; or it has none"
        if remote == mounts.get("/models", False):
            yield f"{role}: models are not at /models, read-only"
        if "USAGE_DB" in config and mounts.get("/var/lib/rtc-stt") is not False:
            yield f"{role}: USAGE_DB cannot be written"
        if url := config.get("FALLBACK_URL"):
            for place in url.split(","):
                host, _, port = place.removeprefix("http://").partition(":")
                host = host.removesuffix(".speech")
                if host not in services or services[host]["spec"]["ports"][0]["port"] != int(port):
                    yield f"{role}: FALLBACK_URL leads nowhere"
        if (role == "fallback" or remote) == ("FALLBACK_URL" in config):
            yield f"{role}: FALLBACK_URL"
        if one["command"] != ["rtc-stt", ROLES[role][0]]:
            yield f"{role}: {one['command']}"
        if pod(document).get("enableServiceLinks") is not False:
            yield f"{role}: variables of Services may be taken for configuration"


@check
def media(documents: list[Document]) -> Iterator[str]:
    """UDP finds the gateway."""
    document = deployment(documents, "gateway")
    first, last = map(int, config_of(documents, document)["UDP_PORT_RANGE"].split("-"))
    if int(config_of(documents, document).get("MAX_SESSIONS", 32)) * 1.2 > last - first + 1:
        yield "there are fewer ports than sessions and a fifth"
    passed = [
        service for service in of_kind(documents, "Service") if service["metadata"]["name"] == "rtc-stt-media"
    ]
    for service in passed:
        ports = service["spec"]["ports"]
        if [port["port"] for port in ports] != list(range(first, last + 1)):
            yield "the Service passes other ports on"
        if any(port["protocol"] != "UDP" or port["targetPort"] != port["port"] for port in ports):
            yield "a port becomes another on its way"
        if service["spec"]["type"] == "NodePort" and any(port["nodePort"] != port["port"] for port in ports):
            yield "the node's port is another than clients are told"
        if document["spec"].get("replicas") != 1:
            yield "a Service of media mixes the packets of several gateways"
    if pod(document).get("hostNetwork") and pod(document)["dnsPolicy"] != "ClusterFirstWithHostNet":
        yield "on the node's network Services have no names"
    told = {item["name"] for item in container(document)["env"]}
    if (bool(passed) or pod(document).get("hostNetwork", False)) != ("PUBLIC_IP" in told):
        yield "clients are not told the node's address"


@check
def probes(documents: list[Document]) -> Iterator[str]:
    """Start-up has the time that models take; readiness and liveness ask what is meant for that."""
    for document in of_kind(documents, "Deployment"):
        role, one = role_of(document), container(document)
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            if one[name]["httpGet"]["path"] not in PATHS or one[name]["httpGet"]["port"] != "http":
                yield f"{role}: {name} asks what is not answered"
        wanted = {"startupProbe": "/v1/health", "readinessProbe": "/v1/ready", "livenessProbe": "/v1/health"}
        if {name: one[name]["httpGet"]["path"] for name in wanted} != wanted:
            yield f"{role}: a probe asks for something else"
        start = one["startupProbe"]
        if start["periodSeconds"] * start["failureThreshold"] < 300:
            yield f"{role}: models have no time to be loaded"
        ready = one["readinessProbe"]
        drain = float(config_of(documents, document)["DRAIN_SECONDS"])
        if ready["periodSeconds"] * ready["failureThreshold"] >= drain:
            yield f"{role}: a drain is over before it is seen"
        live = one["livenessProbe"]
        if live["periodSeconds"] * live["failureThreshold"] < 30:
            yield f"{role}: is killed for a hiccup"


@check
def ends(documents: list[Document]) -> Iterator[str]:
    """A pod has the time to drain, and serves until balancers know."""
    for document in of_kind(documents, "Deployment"):
        role = role_of(document)
        sleep = container(document).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        drain = float(config_of(documents, document)["DRAIN_SECONDS"])
        if pod(document)["terminationGracePeriodSeconds"] < sleep + drain + GRACE_S:
            yield f"{role}: is killed before it has drained"
        if sleep < 1:
            yield f"{role}: refuses requests that are still sent to it"


@check
def rollout(documents: list[Document]) -> Iterator[str]:
    """The new one is ready before the old one goes; on a node's network one of several goes first."""
    for document in of_kind(documents, "Deployment"):
        update = document["spec"]["strategy"]["rollingUpdate"]
        told = update["maxUnavailable"], update["maxSurge"]
        several = document["spec"].get("replicas", 1) > 1
        if told != (0, 1) and not (told == (1, 0) and several and pod(document).get("hostNetwork")):
            yield f"{role_of(document)} is replaced with a gap"
        if document["spec"]["progressDeadlineSeconds"] < 600:
            yield f"{role_of(document)}: a rollout fails while models are loaded"


@check
def confined(documents: list[Document]) -> Iterator[str]:
    """Nobody is root or may do more than serve."""
    for document in of_kind(documents, "Deployment"):
        role, spec = role_of(document), pod(document)
        context = spec["securityContext"]
        wanted = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
        if not wanted.items() <= context.items() or context["seccompProfile"] != {"type": "RuntimeDefault"}:
            yield f"{role} runs as somebody else"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{role} gets a token"
        if any(spec.get(name) for name in ("hostPID", "hostIPC")) or (
            role != "gateway" and spec.get("hostNetwork")
        ):
            yield f"{role} has a part of the node"
        for one in [*spec["containers"], *spec.get("initContainers", [])]:
            if one["securityContext"] != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{role}/{one['name']} may do too much"
            if not re.fullmatch(rf"(\S+/)?rtc-stt-{role}:(?!latest)[\w.-]+", one["image"]):
                yield f"{role}/{one['name']} is of {one['image']}"
            if "memory" not in one["resources"]["limits"] or "cpu" not in one["resources"]["requests"]:
                yield f"{role}/{one['name']} has no bounds"
        for volume in spec["volumes"]:
            if not {"emptyDir", "persistentVolumeClaim", "secret"} & set(volume):
                yield f"{role}: volume {volume['name']}"
            if volume["name"] == "tmp" and volume["emptyDir"].get("medium") != "Memory":
                yield f"{role}: /tmp is on a disk"
            if volume.get("secret", {}).get("defaultMode", 0o440) != 0o440:
                yield f"{role}: others may read the keys"


@check
def secrets(documents: list[Document]) -> Iterator[str]:
    """By reference only; the fallback has keys of its own, and no secret that is not its business."""
    if of_kind(documents, "Secret"):
        yield "there is a Secret among the manifests"
    for document in of_kind(documents, "Deployment"):
        role, one = role_of(document), container(document)
        yield from (f"{role}: {key} is no secret" for key in set(config_of(documents, document)) & SECRETS)
        for item in one.get("env", []):
            if item["name"] in SECRETS and "secretKeyRef" not in item.get("valueFrom", {}):
                yield f"{role}: {item['name']} is written out"
            if item["name"] in SECRETS and role == "fallback":
                yield f"{role}: {item['name']} is none of its business"
        (volume,) = (volume for volume in pod(document)["volumes"] if volume["name"] == "keys")
        wanted = "fallback-keys" if role == "fallback" else "keys"
        if volume["secret"]["items"] != [{"key": wanted, "path": "keys"}]:
            yield f"{role} has the keys of others"


@check
def gpus(documents: list[Document]) -> Iterator[str]:
    """A worker has one GPU or none, and the image, the setting and the tolerations that go with it."""
    for document in of_kind(documents, "Deployment"):
        role, one = role_of(document), container(document)
        count = one["resources"]["limits"].get("nvidia.com/gpu", 0)
        cuda = config_of(documents, document).get("DEVICE") == "cuda", one["image"].endswith("-cuda")
        if count not in (0, 1):
            yield f"{role} has {count} GPUs for its one worker"
        if cuda != (count == 1, count == 1):
            yield f"{role}: GPU, DEVICE and image do not agree"
        tolerated = any(item["key"] == "nvidia.com/gpu" for item in pod(document).get("tolerations", []))
        if tolerated != (count == 1):
            yield f"{role}: may {'' if tolerated else 'not '}be put on nodes with GPUs"


@check
def scaling(documents: list[Document]) -> Iterator[str]:
    """By metrics that exist and that the adapter makes, with room to spare."""
    adapter = yaml.safe_load((ROOT / "deploy/prometheus/adapter.yaml").read_text(encoding="utf-8"))
    made = {rule["name"]["as"] for rule in adapter["rules"]["custom"]}
    documented = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    for scaler in of_kind(documents, "HorizontalPodAutoscaler"):
        role = role_of(scaler)
        wanted = {
            entry["pods"]["metric"]["name"]: entry["pods"]["target"] for entry in scaler["spec"]["metrics"]
        }
        for name in wanted:
            if name not in made or f"`{name}`" not in documented:
                yield f"{role} is scaled by {name}, which there is not"
        if "stt_queue_depth" not in wanted or (role == "gateway") != ("rtc_stt_sessions" in wanted):
            yield f"{role} is scaled by {sorted(wanted)}"
        if target := wanted.get("rtc_stt_sessions"):
            limit = config_of(documents, deployment(documents, role)).get("MAX_SESSIONS", "32")
            if int(target["averageValue"]) > 0.8 * int(limit):
                yield f"{role} is full before it is scaled"
