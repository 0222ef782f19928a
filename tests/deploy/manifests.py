"""The rendered manifests, and what is where in them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import keys

__all__ = [
    "KEYS",
    "ROLES",
    "ROOT",
    "SECRETS",
    "SETS",
    "Document",
    "config_of",
    "container",
    "deployment",
    "load",
    "matches",
    "of",
    "of_kind",
    "pod",
    "ray_pods",
    "role_of",
]

ROOT = Path(__file__).parents[2]
SETS = ("fleet", "gpu", "one-node-cpu", "zones")
ROLES = {"gateway": ("serve", 8080), "primary": ("primary", 8081), "fallback": ("fallback", 8082)}
"""Command and port, by docs/deploy.md."""

SECRETS = {item.name for group in GROUPS for item in keys(group).values() if item.secret}
KEYS = {item.name for group in GROUPS for item in keys(group).values()}
Document = dict[str, Any]


def load(name: str) -> list[Document]:
    """The documents of one set, to be changed as one likes."""
    return copy.deepcopy(_read(name))


@cache
def _read(name: str) -> list[Document]:
    text = (ROOT / "deploy" / "manifests" / f"{name}.yaml").read_text(encoding="utf-8")
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """Those of a kind."""
    return [document for document in documents if document["kind"] == kind]


def ray_pods(documents: list[Document]) -> dict[str, Document]:
    """Templates of the pods of Ray's cluster, ``head`` and ``worker``, where there is one."""
    found = {}
    for service in of_kind(documents, "RayService"):
        cluster = service["spec"]["rayClusterConfig"]
        found = {
            "head": cluster["headGroupSpec"]["template"],
            "worker": cluster["workerGroupSpecs"][0]["template"],
        }
    return found


def of(documents: list[Document], kind: str, name: str) -> Document:
    """The one of this kind and name."""
    (found,) = (document for document in of_kind(documents, kind) if document["metadata"]["name"] == name)
    return found


def deployment(documents: list[Document], role: str) -> Document:
    """The Deployment of a role."""
    return of(documents, "Deployment", f"rtc-stt-{role}")


def container(document: Document) -> Document:
    """The one container of a Deployment."""
    (found,) = pod(document)["containers"]
    result: Document = found
    return result


def pod(document: Document) -> Document:
    """The pod of a Deployment."""
    found: Document = document["spec"]["template"]["spec"]
    return found


def role_of(document: Document) -> str:
    """The role by its label."""
    return str(document["metadata"]["labels"]["app.kubernetes.io/component"])


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all of a selector is in the labels."""
    return bool(selector) and selector.items() <= labels.items()


def config_of(documents: list[Document], document: Document) -> dict[str, str]:
    """What a role is told by its ConfigMap."""
    (source,) = container(document)["envFrom"]
    data: dict[str, str] = of(documents, "ConfigMap", source["configMapRef"]["name"])["data"]
    return data
