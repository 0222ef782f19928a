"""The chart, by Helm's own library and the schemas of Kubernetes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.deploy.manifests import (
    ROOT,
    SETS,
    Document,
    config_of,
    container,
    deployment,
    load,
    of_kind,
    pod,
    ray_pods,
)
from tools.chart import command
from tools.chart.__main__ import KUBERAY, MANIFESTS, kuberay, manifests, schema_text, value_sets
from tools.chart.helm import BUILT, CHART, Rendered, Wanted, helm
from tools.chart.values_schema import OWN_KEYS, SECRET_KEYS

pytestmark = pytest.mark.e2e

VERSIONS = ("1.30.0", "1.37.0")
"""The oldest that the chart allows, and the newest whose schemas there are."""

OPERATOR = {"ServiceMonitor", "PrometheusRule", "RayService"}
"""Not Kubernetes' own; test_manifests.py and test_manifests_fleet.py look at them."""

WARNING = 2

Values = dict[str, Any]
PINNED = "https://models.example/small/#sha256=" + "a" * 64
OURS = {
    "secrets": {"existing": "keys"},
    "models": {"claim": "models"},
    "networkPolicy": {"nodeCidrs": ["10.0.0.0/8"]},
}
"""The least that has to be set."""

IN_VALUES: Values = {
    "secrets": {
        "existing": "",
        "data": {"keys": "k", "fallback-keys": "k", "TOKEN_SECRET": "t", "TURN_SECRET": "t"},
    }
}

REFUSED: dict[str, tuple[Values, str]] = {
    "a key that is misspelt": ({"config": {"MAX_SESSION": 3}}, "MAX_SESSION"),
    "a secret among the configuration": ({"config": {"TURN_SECRET": "x"}}, "TURN_SECRET"),
    "a key that the chart sets": ({"gateway": {"config": {"PORT": 80}}}, "PORT"),
    "a value that there is not": ({"gateway": {"replica": 2}}, "replica"),
    "two GPUs": ({"fallback": {"gpu": 2}}, "boolean"),
    "a drain that is too long": ({"drainSeconds": 601}, "600"),
    "a model that there is not": ({"gateway": {"models": ["large"]}}, "models"),
    "a fallback without its model": ({"fallback": {"models": ["small"]}}, "models"),
    "ports that are none": ({"gateway": {"media": {"ports": "50000"}}}, "ports"),
    "a digest that is too short": ({"models": {"small": {"source": "https://a/s/#sha256=12"}}}, "source"),
    "a mode that there is not": ({"gateway": {"media": {"mode": "magic"}}}, "mode"),
    "no keys": ({"secrets": {"existing": ""}}, "no keys"),
    "no models": ({"models": {"claim": ""}}, "needs the model"),
    "no node addresses": ({"networkPolicy": {"nodeCidrs": []}}, "nodeCidrs"),
    "a ledger for several": ({"gateway": {"replicas": 2, "usage": {"claim": "u"}}}, "USAGE_DB"),
    "media of several through a Service": (
        {"gateway": {"replicas": 2, "media": {"mode": "service", "ports": "30000-30031"}}},
        "mix their packets",
    ),
    "a node's port out of range": (
        {"gateway": {"media": {"mode": "service", "ports": "40000-40031"}}},
        "30000-32767",
    ),
    "a balancer's address": (
        {"gateway": {"media": {"mode": "service", "ports": "40000-40031", "serviceType": "LoadBalancer"}}},
        "publicIp",
    ),
    "too many ports": ({"gateway": {"media": {"mode": "service", "ports": "30000-30999"}}}, "too much"),
    "ports that end before they begin": ({"gateway": {"media": {"ports": "50999-50000"}}}, "below the first"),
    "an Ingress without a name": ({"gateway": {"ingress": {"enabled": True}}}, "host"),
    "nobody": ({role: {"enabled": False} for role in ("gateway", "primary", "fallback")}, "no role"),
    "secrets from two places": ({"secrets": {"data": {"keys": "k", "fallback-keys": "k"}}}, "too many"),
    "no keys for the fallback": ({"secrets": {"existing": "", "data": {"keys": "k"}}}, "fallback-keys"),
    "tokens that only one takes": (
        {
            "gateway": {"replicas": 2},
            "secrets": {"existing": "", "data": {"keys": "k", "fallback-keys": "k"}},
        },
        "TOKEN_SECRET",
    ),
    "a relay without its secret": (
        {
            "config": {"TURN_URL": "turn:a"},
            "secrets": {"existing": "", "data": {"keys": "k", "fallback-keys": "k"}},
        },
        "TURN_SECRET",
    ),
    "half a key for Prometheus": (
        {"serviceMonitor": {"enabled": True, "keySecret": {"name": "a"}}},
        "keySecret",
    ),
}


def over(base: Values, values: Values) -> Values:
    """As Helm does it: objects are merged, all else is replaced."""
    result = copy.deepcopy(base)
    for key, value in values.items():
        inner = result.get(key)
        result[key] = over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def over_values(base: Values, *more: Values) -> Values:
    """Several over each other."""
    for values in more:
        base = over(base, values)
    return base


REDIS = [{"ipBlock": {"cidr": "10.3.0.0/16"}}]
BEHIND: Values = {"gateway": {"media": {"mode": "pod"}, "replicas": 2}, "sharing": {"enabled": True}}
"""Gateways that share, on pods' addresses."""

REFUSED |= {
    "a Redis that policies keep away": (BEHIND, "networkPolicy.redis"),
    "a Redis without its URL": (
        over_values(BEHIND, IN_VALUES, {"networkPolicy": {"redis": REDIS}}),
        "REDIS_URL",
    ),
    "names of keys that only one knows": (
        {
            "sharing": {"enabled": True},
            "secrets": {"existing": "", "data": {"keys": "k", "fallback-keys": "k"}},
        },
        "TOKEN_SECRET",
    ),
    "a URL among the configuration": ({"config": {"REDIS_URL": "redis://a"}}, "REDIS_URL"),
    "an engine of one's own": ({"config": {"ENGINE": "ray://a:8000"}}, "ENGINE"),
    "sessions that move, and nothing is shared": (
        {"config": {"RESUME_ACROSS_NODES": True}},
        "sharing.enabled",
    ),
    "workers without their key": (over_values(IN_VALUES, {"workers": {"enabled": True}}), "WORKERS_KEY"),
    "workers without a model": (
        {"workers": {"enabled": True}, "models": {"claim": "", "small": {"source": PINNED}},
         "fallback": {"enabled": False}},
        "workers need the model medium",
    ),
    "no fast replica": ({"workers": {"enabled": True, "fast": {"min": 0}}}, "one replica at least"),
    "no accurate replica at times": (
        {"workers": {"enabled": True, "accurate": {"min": 0, "max": 2}}},
        "workers.accurate.min",
    ),
    "more at least than at most": ({"workers": {"enabled": True, "fast": {"min": 9}}}, "above its max"),
    "a share of no GPU": ({"workers": {"enabled": True, "fast": {"gpus": 0.5}}}, "pods have none"),
    "a key that replicas do not read": ({"workers": {"config": {"MAX_SESSIONS": 3}}}, "MAX_SESSIONS"),
    "a name that KubeRay makes too long": (
        {"workers": {"enabled": True}, "fullnameOverride": "n" * 45},
        "39 characters",
    ),
}  # fmt: skip

TAKEN: dict[str, Values] = {
    "the least": {},
    "secrets in values": IN_VALUES,
    "open": {"secrets": {"existing": ""}, "config": {"ALLOW_OPEN": True}},
    "models from the web": {
        "models": {"claim": "", "small": {"source": PINNED}, "medium": {"source": "medium"}}
    },
    "somebody else's fallback": {"fallback": {"enabled": False, "externalUrl": "https://stt.example"}},
    "a gateway alone": {
        "gateway": {"models": ["small", "medium"]},
        "primary": {"enabled": False},
        "fallback": {"enabled": False},
    },
    "a balancer": {
        "gateway": {
            "media": {
                "mode": "service",
                "ports": "40000-40031",
                "serviceType": "LoadBalancer",
                "publicIp": "203.0.113.9",
            }
        }
    },
    "a long drain": {"drainSeconds": 300},
    "large numbers": {"config": {"MAX_SESSIONS": 100000, "QUEUE_LIMIT": 1000000, "MIN_SILENCE_MS": 500}},
    "part of another chart": {"global": {"storageClass": "fast"}},
    "gateways that share": over_values(BEHIND, {"networkPolicy": {"redis": REDIS}, "sharing": {"ca": True}}),
    "gateways that share by IPv6": {"sharing": {"enabled": True}, "config": {"HOST": "::"}},
    "workers without GPUs": {"workers": {"enabled": True}, "fallback": {"enabled": False}},
    "workers of one tier": {
        "workers": {"enabled": True, "accurate": {"min": 0, "max": 0}, "nodes": {"min": 2, "max": 2}}
    },
    "workers that fetch": {
        "workers": {"enabled": True},
        "models": {"claim": "", "small": {"source": PINNED}, "medium": {"source": "medium"}},
    },
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Rendered]:
    """What Helm says of all of these, asked at once."""
    wanted = {name: over(OURS, values) for name, (values, _) in REFUSED.items()}
    wanted |= {name: over(OURS, values) for name, values in TAKEN.items()}
    wanted |= {name: yaml.safe_load(path.read_text()) for name, path in value_sets().items()}
    return dict(zip(wanted, helm([Wanted(values) for values in wanted.values()]), strict=True))


def test_the_manifests_are_current() -> None:
    assert (CHART / "values.schema.json").read_text() == schema_text(), "make manifests"
    made = manifests()
    assert set(made) == set(SETS)
    for name, text in made.items():
        assert (ROOT / "deploy" / "manifests" / f"{name}.yaml").read_text() == text, "make manifests"
    assert KUBERAY.read_text() == kuberay(made["fleet"]), "make manifests"


@pytest.mark.parametrize("name", [*SETS, *TAKEN])
def test_helm_finds_nothing_wrong(name: str, answers: dict[str, Rendered]) -> None:
    answer = answers[name]
    assert answer.error == ""
    assert [told for told in answer.lint if told["severity"] >= WARNING] == []
    assert "not set: " not in answer.texts["rtc-stt/templates/NOTES.txt"]
    assert all("<no value>" not in text for text in answer.texts.values())


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_in_words(name: str, answers: dict[str, Rendered]) -> None:
    assert REFUSED[name][1] in answers[name].error


def test_the_linter_would_tell(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: bad\nversion: 1\n")
    (tmp_path / "templates" / "bad.yaml").write_text("kind: [\n")
    (answer,) = helm([Wanted({}, chart=str(tmp_path))])
    assert [told for told in answer.lint if told["severity"] > WARNING]


def test_a_command_is_compared_with_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that says what is kept; and one that leaves the first document out."""
    for name, wrong in {"right": 0, "wrong": 1}.items():
        program = tmp_path / name
        program.write_text(
            f'#!{sys.executable}\nimport pathlib, sys\nif sys.argv[1] == "template":\n'
            f'    name = pathlib.Path(sys.argv[-1]).name.replace("-values", "")\n'
            f'    text = (pathlib.Path("{MANIFESTS}") / name).read_text()\n'
            f'    print("---\\n".join(text.split("---\\n")[1 + {wrong} :]))\n'
        )
        program.chmod(0o755)
        assert command.main(str(program)) == wrong
        told = capsys.readouterr().out
        assert told.count("as kept") == (0 if wrong else len(SETS))
        assert told.count("others than are kept") == (len(SETS) if wrong else 0)


@cache
def schema(version: str) -> dict[str, Any]:
    folder = BUILT / "kubernetes_validate" / "kubernetes-json-schema" / f"v{version}-local-strict"
    assert folder.is_dir(), "tools/ensure_helm.sh fetches the schemas"
    text = (folder / "_definitions.json").read_text().replace("/api/_definitions.json#", "#")
    result: dict[str, Any] = json.loads(text)
    return result


@cache
def validator(version: str, api_version: str, kind: str) -> jsonschema_rs.Validator:
    group, _, api = api_version.rpartition("/")
    found = [
        name
        for name, definition in schema(version)["$defs"].items()
        for it in definition.get("x-kubernetes-group-version-kind", [])
        if (it["group"], it["version"], it["kind"]) == (group, api, kind)
    ]
    assert len(found) == 1, f"Kubernetes {version} has no {kind} of {api_version}"
    return jsonschema_rs.validator_for({**schema(version), "$ref": f"#/$defs/{found[0]}"})


def misfits(documents: list[Document], version: str) -> list[str]:
    return [
        f"{document['kind']} {document['metadata']['name']}: {error.message}"
        for document in documents
        if document["kind"] not in OPERATOR
        for error in validator(version, document["apiVersion"], document["kind"]).iter_errors(document)
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_documents(version: str, answers: dict[str, Rendered]) -> None:
    for name in (*SETS, *TAKEN):
        assert misfits(answers[name].documents, version) == [], name


def test_kubernetes_would_not_take_others() -> None:
    documents = load("zones")
    container(deployment(documents, "gateway"))["livenessProb"] = {}
    assert "livenessProb" in misfits(documents, VERSIONS[-1])[0]
    documents = load("zones")
    deployment(documents, "gateway")["spec"]["minReadySeconds"] = "soon"
    assert misfits(documents, VERSIONS[0])


def test_what_is_said_once_holds_everywhere(answers: dict[str, Rendered]) -> None:
    for document in of_kind(answers["a long drain"].documents, "Deployment"):
        assert pod(document)["terminationGracePeriodSeconds"] == 5 + 300 + 20
        assert config_of(answers["a long drain"].documents, document)["DRAIN_SECONDS"] == "300"
    documents = answers["large numbers"].documents
    told = config_of(documents, deployment(documents, "gateway"))
    assert (told["MAX_SESSIONS"], told["QUEUE_LIMIT"], told["MIN_SILENCE_MS"]) == ("100000", "1000000", "500")


def test_a_gateway_alone_decodes_for_itself(answers: dict[str, Rendered]) -> None:
    documents = answers["a gateway alone"].documents
    (document,) = of_kind(documents, "Deployment")
    config = config_of(documents, document)
    assert config["CT2_MEDIUM_PATH"] == "/models/medium"
    assert "FALLBACK_URL" not in config


def test_secrets_of_values_are_in_a_secret_only(answers: dict[str, Rendered]) -> None:
    documents = answers["secrets in values"].documents
    (secret,) = of_kind(documents, "Secret")
    assert secret["stringData"] == IN_VALUES["secrets"]["data"]
    assert "no keys" not in answers["secrets in values"].texts["rtc-stt/templates/NOTES.txt"]


def test_without_keys_it_is_said_aloud(answers: dict[str, Rendered]) -> None:
    documents = answers["open"].documents
    document = deployment(documents, "gateway")
    config = config_of(documents, document)
    assert config["ALLOW_OPEN"] == "true"
    assert "API_KEYS_FILE" not in config
    assert "keys" not in {volume["name"] for volume in pod(document)["volumes"]}
    assert "WARNING: there are no keys" in answers["open"].texts["rtc-stt/templates/NOTES.txt"]


def test_somebody_elses_fallback_is_asked(answers: dict[str, Rendered]) -> None:
    documents = answers["somebody else's fallback"].documents
    assert config_of(documents, deployment(documents, "primary"))["FALLBACK_URL"] == "https://stt.example"


def test_the_schema_knows_all_of_the_values() -> None:
    def unknown(values: Any, told: dict[str, Any], path: str = "") -> list[str]:
        if not isinstance(values, dict) or "properties" not in told:
            return []
        return [
            missing
            for key, value in values.items()
            for missing in (
                unknown(value, told["properties"][key], f"{path}.{key}")
                if key in told["properties"]
                else [f"{path}.{key}"]
            )
        ]

    whole = json.loads(schema_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert unknown(values, whole) == []
    assert unknown(values | {"gatway": {}}, whole) == [".gatway"]
    assert not (OWN_KEYS | SECRET_KEYS) & set(whole["properties"]["config"]["propertyNames"]["enum"])


def test_the_metrics_to_scale_by_are_made(tmp_path: Path) -> None:
    """The adapter's own substitution, and Prometheus to run what comes of it."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/adapter.yaml").read_text())["rules"]["custom"]
    at = 'namespace="speech",job="rtc-stt"'
    series = {
        f'rtc_stt_sessions{{{at},pod="a",role="gateway",transport="webrtc"}}': "3x10",
        f'rtc_stt_sessions{{{at},pod="a",role="gateway",transport="websocket"}}': "4x10",
        f'rtc_stt_sessions{{{at},pod="b",role="gateway",transport="webrtc"}}': "5x10",
        f'stt_queue_depth{{{at},pod="a",role="gateway",tier="fast"}}': "9x10 2x10",
        f'stt_queue_depth{{{at},pod="a",role="gateway",tier="accurate"}}': "1x20",
    }
    wanted = {"rtc_stt_sessions": {"a": 7, "b": 5}, "stt_queue_depth": {"a": 3}}
    tests = []
    for rule in rules:
        name = rule["name"]["as"]
        assert rule["seriesQuery"].startswith(name)
        query = (
            rule["metricsQuery"]
            .replace("<<.Series>>", name)
            .replace("<<.LabelMatchers>>", 'namespace="speech",pod=~"a|b"')
            .replace("<<.GroupBy>>", "pod")
        )
        samples = [{"labels": f'{{pod="{name}"}}', "value": value} for name, value in wanted[name].items()]
        tests.append({"expr": query, "eval_time": "4m", "exp_samples": samples})
    (tmp_path / "none.yml").write_text("groups: []\n")
    made = [{"series": name, "values": values} for name, values in series.items()]
    group = {"interval": "15s", "input_series": made, "promql_expr_test": tests}
    (tmp_path / "adapter.yml").write_text(yaml.safe_dump({"rule_files": ["none.yml"], "tests": [group]}))
    done = subprocess.run(
        ["promtool", "test", "rules", "adapter.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_address_of_a_gateway_is_one_that_can_be_asked(answers: dict[str, Rendered]) -> None:
    for name, wanted in {
        "gateways that share": "http://$(POD_IP):8080",
        "gateways that share by IPv6": "http://[$(POD_IP)]:8080",
    }.items():
        env = container(deployment(answers[name].documents, "gateway"))["env"]
        assert {it["name"]: it.get("value") for it in env}["NODE_URL"] == wanted
    volumes = pod(deployment(answers["gateways that share"].documents, "gateway"))["volumes"]
    (keys,) = (volume["secret"]["items"] for volume in volumes if volume["name"] == "keys")
    assert {"key": "redis-ca", "path": "redis-ca"} in keys


def test_the_fallback_is_the_accurate_tier_where_workers_have_none(answers: dict[str, Rendered]) -> None:
    for name, asked in {"workers of one tier": True, "workers without GPUs": False}.items():
        documents = answers[name].documents
        assert ("FALLBACK_URL" in config_of(documents, deployment(documents, "gateway"))) is asked
        (service,) = of_kind(documents, "RayService")
        assert ("name: accurate" in service["spec"]["serveConfigV2"]) is not asked


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_pods_of_ray(version: str, answers: dict[str, Rendered]) -> None:
    (name,) = (it for it in schema(version)["$defs"] if it.endswith(".core.v1.PodTemplateSpec"))
    judge = jsonschema_rs.validator_for({**schema(version), "$ref": f"#/$defs/{name}"})
    for values in ("fleet", "workers that fetch", "workers of one tier"):
        for template in ray_pods(answers[values].documents).values():
            assert [error.message for error in judge.iter_errors(template)] == []
            template["spec"]["containers"][0]["livenessProb"] = {}
            assert not judge.is_valid(template)
