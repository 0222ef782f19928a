"""Who reaches whom, by the policies of the manifests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.manifests import ROLES, SETS, load, of_kind, pod, ray_pods
from tests.deploy.network_policies import Address, Peer, Pod, allows

NODE = "10.20.3.4"
CLIENT = Address("198.51.100.7")
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
STRANGER = Pod("speech", {"app.kubernetes.io/name": "something-else"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
NGINX = Pod("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"})


def peers(documents: list[dict[str, Any]]) -> dict[str, Peer]:
    """Everyone, with the pods of the manifests."""
    found: dict[str, Peer] = {
        "client": CLIENT, "prometheus": PROMETHEUS, "stranger": STRANGER, "dns": DNS, "ingress": NGINX,
        "node": Address(NODE), "web": Address("192.0.2.80"), "hook": Address("203.0.113.7"),
        "redis": Pod("data", {"app.kubernetes.io/name": "redis"}),
        "kuberay": Pod("kuberay", {"app.kubernetes.io/name": "kuberay-operator"}),
        "collector": Pod("tracing", {"app.kubernetes.io/name": "collector"}),
    }  # fmt: skip
    for document in of_kind(documents, "Deployment"):
        role = document["metadata"]["labels"]["app.kubernetes.io/component"]
        labels = document["spec"]["template"]["metadata"]["labels"]
        node = NODE if pod(document).get("hostNetwork") else ""
        found[role] = Pod("speech", labels, {"http": ROLES[role][1]}, node)
    for name, template in ray_pods(documents).items():
        found[name] = Pod("speech", template["metadata"]["labels"])
    return found


COMMON = {
    ("gateway", "fallback", "TCP", 8082): True,
    ("gateway", "fallback", "TCP", 22): False,
    ("client", "fallback", "TCP", 8082): False,
    ("stranger", "fallback", "TCP", 8082): False,
    ("ingress", "fallback", "TCP", 8082): False,
    ("prometheus", "fallback", "TCP", 8082): True,
    ("prometheus", "gateway", "TCP", 8080): True,
    ("fallback", "gateway", "TCP", 8080): False,
    ("fallback", "stranger", "TCP", 80): False,
    ("gateway", "dns", "UDP", 53): True,
    ("gateway", "client", "UDP", 61000): True,
}
FLEET = {
    ("gateway", "gateway", "TCP", 8080): True,
    ("gateway", "redis", "TCP", 6379): True,
    ("gateway", "redis", "TCP", 22): False,
    ("head", "redis", "TCP", 6379): True,
    ("gateway", "worker", "TCP", 40000): True,
    ("gateway", "worker", "TCP", 40999): True,
    ("gateway", "worker", "TCP", 41000): False,
    ("gateway", "head", "TCP", 8000): True,
    ("gateway", "head", "TCP", 8265): False,
    ("gateway", "head", "TCP", 6379): False,
    ("worker", "head", "TCP", 6379): True,
    ("head", "worker", "TCP", 10002): True,
    ("kuberay", "head", "TCP", 8265): True,
    ("kuberay", "worker", "TCP", 40000): False,
    ("client", "worker", "TCP", 40000): False,
    ("client", "head", "TCP", 8265): False,
    ("ingress", "worker", "TCP", 40000): False,
    ("stranger", "head", "TCP", 8000): False,
    ("worker", "gateway", "TCP", 8080): False,
    ("worker", "web", "TCP", 80): False,
    ("worker", "dns", "UDP", 53): True,
    ("client", "gateway", "TCP", 8080): False,
    ("ingress", "gateway", "TCP", 8080): True,
    ("prometheus", "gateway", "TCP", 8080): True,
    ("client", "gateway", "UDP", 50500): True,
}
PASSED: dict[str, dict[tuple[str, str, str, int], bool]] = {
    "one-node-cpu": {
        ("client", "gateway", "TCP", 8080): True,
        ("client", "gateway", "UDP", 30031): True,
        ("client", "gateway", "UDP", 30032): False,
        ("client", "gateway", "TCP", 30031): False,
        ("gateway", "web", "TCP", 443): False,
        ("fallback", "dns", "UDP", 53): False,
        ("fallback", "web", "TCP", 443): False,
        ("fallback", "collector", "TCP", 4318): False,
    },
    "gpu": {
        ("client", "primary", "TCP", 8081): True,
        ("primary", "fallback", "TCP", 8082): True,
        # By the address of its node; others there have that too, and are kept out by the key.
        ("node", "fallback", "TCP", 8082): True,
        # Where models come from.
        ("fallback", "web", "TCP", 443): True,
        ("fallback", "dns", "UDP", 53): True,
        ("fallback", "web", "TCP", 25): False,
        ("primary", "gateway", "TCP", 8080): False,
    },
    "zones": {
        ("client", "gateway", "TCP", 8080): False,
        ("client", "primary", "TCP", 8081): False,
        ("ingress", "gateway", "TCP", 8080): True,
        ("ingress", "primary", "TCP", 8081): True,
        ("client", "gateway", "UDP", 50500): True,
        ("primary", "fallback", "TCP", 8082): True,
        ("node", "fallback", "TCP", 8082): False,
        ("primary", "client", "UDP", 61000): False,
        ("gateway", "hook", "TCP", 443): True,
        ("gateway", "web", "TCP", 443): False,
        ("fallback", "hook", "TCP", 443): False,
        ("fallback", "collector", "TCP", 4318): True,
        ("fallback", "collector", "TCP", 80): False,
        ("fallback", "dns", "UDP", 53): True,
    },
}


@pytest.mark.parametrize("name", SETS)
def test_who_reaches_whom(name: str) -> None:
    documents = load(name)
    policies, known = of_kind(documents, "NetworkPolicy"), peers(documents)
    wanted = FLEET if name == "fleet" else COMMON | PASSED[name]
    found = {
        (source, target, protocol, port): allows(policies, known[source], known[target], protocol, port)
        for source, target, protocol, port in wanted
    }
    assert found == wanted


def test_without_its_policy_everyone_reaches_the_fallback() -> None:
    documents = load("zones")
    known = peers(documents)
    policies = [
        it for it in of_kind(documents, "NetworkPolicy") if it["metadata"]["name"] != "rtc-stt-fallback"
    ]
    assert allows(policies, known["client"], known["fallback"], "TCP", 8082)
    assert allows(policies, known["fallback"], known["web"], "TCP", 443)


def test_a_policy_that_selects_nobody_is_found_out() -> None:
    documents = load("zones")
    known = peers(documents)
    for policy in of_kind(documents, "NetworkPolicy"):
        policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] = "none"
    assert allows(of_kind(documents, "NetworkPolicy"), known["client"], known["fallback"], "TCP", 8082)


@pytest.mark.parametrize("name", SETS)
def test_each_pod_that_can_be_ruled_is(name: str) -> None:
    documents = load(name)
    ruled = {policy["metadata"]["name"] for policy in of_kind(documents, "NetworkPolicy")}
    for document in of_kind(documents, "Deployment"):
        assert (document["metadata"]["name"] in ruled) != bool(pod(document).get("hostNetwork"))
    assert ("rtc-stt-workers" if name == "fleet" else "rtc-stt-fallback") in ruled
