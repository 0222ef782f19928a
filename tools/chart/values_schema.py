"""The schema of the chart's values: what may be set, so that a slip is told before anything is installed."""

from __future__ import annotations

from typing import Any

from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import keys

__all__ = ["OWN_KEYS", "REPLICA_KEYS", "SECRET_KEYS", "TRACE_KEYS", "values_schema"]

Schema = dict[str, Any]

OWN_KEYS = frozenset(
    {
        "API_KEYS_FILE", "CT2_MEDIUM_PATH", "CT2_SMALL_PATH", "DRAIN_SECONDS", "ENGINE", "FALLBACK_URL",
        "NODE_NAME", "NODE_URL", "PORT", "PUBLIC_IP", "REDIS_CA", "UDP_PORT_RANGE", "USAGE_DB",
    }
)  # fmt: skip
"""What the chart sets itself, since probes, volumes, policies and periods have to agree with it."""

SECRET_KEYS = frozenset(
    item.name for group in GROUPS for item in keys(group).values() if item.secret and item.name != "API_KEYS"
)
"""What comes from the Secret. Keys come as a file, which can be read again."""

TRACE_KEYS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
)  # fmt: skip
"""Of OpenTelemetry's SDK, which reads them itself; without those that may hold a secret."""

CONFIG_KEYS = sorted(
    {item.name for group in GROUPS for item in keys(group).values()} - OWN_KEYS - SECRET_KEYS - {"API_KEYS"}
)

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
ANY_MAP: Schema = {"type": "object"}
TEXT_MAP: Schema = {"type": "object", "additionalProperties": TEXT}
MAPS: Schema = {"type": "array", "items": ANY_MAP}
NAME = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
RESOURCE_NAME: Schema = {"type": "string", "pattern": f"^({NAME})?$", "maxLength": 253}
ENTRY: Schema = {"type": "string", "pattern": "^[-._a-zA-Z0-9]*$", "maxLength": 253}
QUANTITY: Schema = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?([KMGT]i?)?$"}


def whole(low: int, high: int) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": low, "maximum": high}


def one_of(*names: str) -> Schema:
    """One of these words."""
    return {"enum": list(names)}


def fields(**properties: Schema) -> Schema:
    """An object that has nothing else."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


def matching(pattern: str) -> Schema:
    """A text of this form."""
    return {"type": "string", "pattern": f"^({pattern})$"}


CONFIG: Schema = {
    "type": "object",
    "propertyNames": {"enum": [*CONFIG_KEYS, *TRACE_KEYS]},
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
SOURCE = matching("|https?://[^#\\s]+(#sha256=[0-9a-f]{64})?|[A-Za-z0-9][-._A-Za-z0-9]*(/[-._A-Za-z0-9]+)?")
SERVICE = fields(type=one_of("ClusterIP", "NodePort", "LoadBalancer"), annotations=TEXT_MAP)
STRATEGY = fields(type=one_of("RollingUpdate", "Recreate"), rollingUpdate=ANY_MAP)
CIDR = matching("[0-9a-fA-F:.]+/[0-9]{1,3}")
AUTOSCALING = fields(enabled=FLAG, min=whole(1, 1000), max=whole(1, 1000), queueDepth=whole(1, 10_000))


PLACEMENT: dict[str, Schema] = {
    "gpu": FLAG,
    "config": CONFIG,
    "resources": fields(requests=ANY_MAP, limits=ANY_MAP),
    "nodeSelector": TEXT_MAP,
    "tolerations": MAPS,
    "affinity": ANY_MAP,
    "spread": one_of("soft", "hard"),
    "priorityClassName": RESOURCE_NAME,
    "podAnnotations": TEXT_MAP,
}
"""Where pods go, and what they have."""


def models_with(*needed: str) -> Schema:
    """A list of models that these are in."""
    listed: Schema = {"type": "array", "items": one_of("small", "medium"), "uniqueItems": True}
    return {**listed, "allOf": [{"contains": {"const": model}} for model in needed]}


def role(model: str, **more: Schema) -> Schema:
    """What each role has, the model that it cannot be without, and what it has besides."""
    return fields(
        **{
            "enabled": FLAG,
            "replicas": whole(0, 1000),
            "models": models_with(model),
            **PLACEMENT,
            "service": SERVICE,
            "autoscaling": AUTOSCALING,
            "strategy": STRATEGY,
            **more,
        }
    )


def gateway() -> Schema:
    """The role with media."""
    more = {
        "media": fields(
            mode=one_of("hostNetwork", "service", "pod"),
            ports=matching("[1-9][0-9]{3,4}-[1-9][0-9]{3,4}"),
            publicIp=matching("|hostIP|[0-9a-fA-F:.]+(,[0-9a-fA-F:.]+)*"),
            serviceType=one_of("NodePort", "LoadBalancer"),
            serviceAnnotations=TEXT_MAP,
        ),
        "usage": fields(claim=RESOURCE_NAME),
        "ingress": fields(
            enabled=FLAG,
            className=RESOURCE_NAME,
            annotations=TEXT_MAP,
            host=RESOURCE_NAME,
            tlsSecret=RESOURCE_NAME,
        ),
        "service": fields(**SERVICE["properties"], affinitySeconds=whole(1, 86_400)),
        "autoscaling": fields(**AUTOSCALING["properties"], sessions=whole(1, 100_000)),
    }
    return role("small", **more)


REPLICA_KEYS: dict[str, Schema] = {
    "BEAM_SIZE": whole(1, 16),
    "COMPUTE_TYPE": matching("[a-z0-9_]+"),
    "CONTEXT_POLICY": one_of("full", "padded", "tight"),
    "CPU_THREADS": whole(1, 256),
    "DECODE_HANG_S": whole(1, 600),
    "MAX_BATCH": whole(1, 256),
    "MAX_CONCURRENCY": whole(1, 256),
    "SCALE_DOWN_AFTER_S": whole(1, 86_400),
    "SCALE_UP_AUDIO_S": {"type": "number", "minimum": 0.1, "maximum": 600},
    "UPDATE_SURGE": FLAG,
}
"""What replicas are told by a Serve configuration; they read no environment but for WORKERS_KEY."""


def workers() -> Schema:
    """Nodes of Ray, and the replicas on them."""
    share: Schema = {"type": "number", "minimum": 0, "maximum": 8}
    tier = fields(min=whole(0, 1000), max=whole(0, 1000), gpus=share)
    return fields(
        enabled=FLAG,
        rayVersion=matching("[0-9]+\\.[0-9]+\\.[0-9]+"),
        fast=tier,
        accurate=tier,
        ports=matching("[1-9][0-9]{3,4}-[1-9][0-9]{3,4}"),
        nodes=fields(min=whole(1, 1000), max=whole(1, 1000)),
        models=models_with("small"),
        head=fields(
            resources=fields(requests=ANY_MAP, limits=ANY_MAP), redis=matching("|[-a-z0-9.]+:[0-9]{2,5}")
        ),
        **(PLACEMENT | {"config": fields(**REPLICA_KEYS)}),
    )


def values_schema() -> Schema:
    """The whole."""
    model = fields(source=SOURCE)
    secrets = [
        *("keys", "fallback-keys", "metrics-key", "redis-ca", "REDIS_PASSWORD"),
        *sorted(SECRET_KEYS),
    ]
    network = fields(
        enabled=FLAG,
        clients=MAPS,
        monitoring=ANY_MAP,
        dns=MAPS,
        nodeCidrs={"type": "array", "items": CIDR},
        fetchFrom=MAPS,
        egress=MAPS,
        redis=MAPS,
        kuberay=ANY_MAP,
        collector=MAPS,
    )
    whole_chart = fields(
        nameOverride=RESOURCE_NAME,
        fullnameOverride=RESOURCE_NAME,
        image=fields(
            registry=matching("|[a-z0-9][-a-z0-9.:/_]*"),
            tag=matching("|[A-Za-z0-9_][-.A-Za-z0-9_]{0,120}"),
            pullPolicy=one_of("Always", "IfNotPresent", "Never"),
            pullSecrets={"type": "array", "items": fields(name=RESOURCE_NAME)},
        ),
        drainSeconds=whole(0, 600),
        preStopSeconds=whole(0, 60),
        config=CONFIG,
        secrets=fields(
            existing=RESOURCE_NAME,
            data={"type": "object", "propertyNames": {"enum": secrets}, "additionalProperties": TEXT},
        ),
        models=fields(
            small=model,
            medium=model,
            claim=RESOURCE_NAME,
            size=QUANTITY,
            resources=fields(requests=ANY_MAP, limits=ANY_MAP),
        ),
        gpu=fields(
            resource=matching("[-a-z0-9.]+/[-a-z0-9.]+"), runtimeClassName=RESOURCE_NAME, tolerations=MAPS
        ),
        sharing=fields(enabled=FLAG, ca=FLAG, port=whole(1, 65_535)),
        workers=workers(),
        gateway=gateway(),
        primary=role("small"),
        fallback=role("medium", externalUrl=matching("|https?://\\S+")),
        probes=fields(
            startupSeconds=whole(10, 7200),
            readinessPeriodSeconds=whole(1, 60),
            livenessSeconds=whole(10, 3600),
        ),
        podDisruptionBudget=fields(enabled=FLAG, maxUnavailable={"type": ["integer", "string"]}),
        networkPolicy=network,
        serviceMonitor=fields(
            enabled=FLAG,
            labels=TEXT_MAP,
            interval=matching("[0-9]+(ms|s|m)"),
            keySecret=fields(name=RESOURCE_NAME, key=ENTRY),
        ),
        prometheusRule=fields(enabled=FLAG, labels=TEXT_MAP),
    )
    whole_chart["properties"]["global"] = ANY_MAP  # Helm adds it where the chart is part of another
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of rtc-stt", **whole_chart}
