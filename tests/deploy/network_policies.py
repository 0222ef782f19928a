"""What NetworkPolicies let through (Kubernetes, "Network Policies"): as much of it as the chart uses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Address", "Pod", "allows"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, with its named ports. On its node's network it is an address to others, and ruled by nothing."""

    namespace: str
    labels: Mapping[str, str]
    ports: Mapping[str, int] = field(default_factory=dict)
    node_address: str = ""


@dataclass(frozen=True)
class Address:
    """Somebody outside."""

    ip: str


Peer = Pod | Address


def allows(policies: Iterable[Document], source: Peer, target: Peer, protocol: str, port: int) -> bool:
    """Whether a connection comes through: the source may leave, and the target may be entered."""
    rules = list(policies)
    leaves = _side(rules, "Egress", source, target, protocol, port, target)
    return leaves and _side(rules, "Ingress", target, source, protocol, port, target)


def _side(
    policies: list[Document], way: str, ruled: Peer, other: Peer, protocol: str, port: int, target: Peer
) -> bool:
    if isinstance(ruled, Address) or ruled.node_address:
        return True
    chosen = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == ruled.namespace
        and way in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], ruled.labels)
    ]
    key = "to" if way == "Egress" else "from"
    return not chosen or any(
        _peer(rule.get(key), other, ruled.namespace) and _port(rule.get("ports"), protocol, port, target)
        for spec in chosen
        for rule in spec.get(way.lower()) or []
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "expressions are not understood here"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _peer(peers: list[Mapping[str, Any]] | None, other: Peer, namespace: str) -> bool:
    """Whether one of them is meant; none named means all."""
    return not peers or any(_is(peer, other, namespace) for peer in peers)


def _is(peer: Mapping[str, Any], other: Peer, namespace: str) -> bool:
    assert set(peer) <= {"ipBlock", "podSelector", "namespaceSelector"}
    if "ipBlock" in peer:
        assert set(peer["ipBlock"]) == {"cidr"}
        address = other.ip if isinstance(other, Address) else other.node_address
        return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(
            peer["ipBlock"]["cidr"]
        )
    if isinstance(other, Address) or other.node_address:
        return False
    of_namespace = peer.get("namespaceSelector")
    if of_namespace is None:
        in_it = other.namespace == namespace
    else:
        in_it = _selects(of_namespace, {"kubernetes.io/metadata.name": other.namespace})
    return in_it and _selects(peer.get("podSelector", {}), other.labels)


def _port(ports: list[Mapping[str, Any]] | None, protocol: str, port: int, target: Peer) -> bool:
    if not ports:
        return True
    for entry in ports:
        first = entry["port"]
        if isinstance(first, str):
            first = target.ports.get(first, -1) if isinstance(target, Pod) else -1
        if entry["protocol"] == protocol and first <= port <= entry.get("endPort", first):
            return True
    return False
