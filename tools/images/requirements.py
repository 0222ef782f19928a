"""Which packages a server needs, and no others, each with its version: the lists that images are built of.

The packages' own lists of what they need are followed from ours on, but for what is never imported:

* torch: ``silero-vad`` names it; of that package only the file of the network is read.
* onnxruntime: ``faster-whisper`` names it for a voice activity detector of its own, which is not used.

Versions are those of ``constraints.txt``. So ``pip install --no-deps`` of a list is the same everywhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["FILES", "FOLDER", "LEFT_OUT", "closure", "direct", "pins", "render"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"

LEFT_OUT = frozenset({"torch", "onnxruntime"})
EXTRAS = ("otel", "redis", "sip")
"""Of ours, for every image."""

FILES = {
    "requirements.txt": EXTRAS,
    "requirements-cuda.txt": ("cuda",),
    "requirements-ray.txt": ("ray",),
}
"""The lists, and the extras that they are made of; those of CUDA and of Ray come on top of the first."""


def pins(constraints: str) -> dict[str, str]:
    """The versions that ``constraints.txt`` tells, by canonical name."""
    told = re.findall(r"^([\w.-]+)==(\S+)$", constraints, re.M)
    return {str(canonicalize_name(name)): version for name, version in told}


def direct(project: Mapping[str, object], extras: Iterable[str] = ()) -> list[str]:
    """What our own ``pyproject.toml`` asks for; ``extras`` alone where any are named that it has."""
    section = project["project"]
    assert isinstance(section, dict)
    optional: dict[str, list[str]] = section.get("optional-dependencies", {})
    return [text for extra in extras for text in optional.get(extra, [])]


def closure(roots: Iterable[str], left_out: frozenset[str] = LEFT_OUT) -> list[str]:
    """Canonical names of all that is needed, sorted; what they need is read from what is installed here.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed here.
    """
    waiting, found = [Requirement(text) for text in roots], dict[str, set[str]]()
    while waiting:
        requirement = waiting.pop()
        name = str(canonicalize_name(requirement.name))
        if name in left_out or (name in found and requirement.extras <= found[name]):
            continue
        extras = found.setdefault(name, set())
        extras |= requirement.extras
        waiting += _needed(name, extras)
    return sorted(found)


def _needed(name: str, extras: set[str]) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement


def render(file: str, root: Path = ROOT) -> str:
    """A list as it stands in its file.

    Raises:
        KeyError: a package has no version in ``constraints.txt``.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    versions = pins((root / "constraints.txt").read_text(encoding="utf-8"))
    extras = FILES[file]
    if extras == ("cuda",):  # its wheels need none, and are installed where there is a GPU
        names = sorted(str(canonicalize_name(Requirement(text).name)) for text in direct(project, extras))
    else:
        names = closure([*project["project"]["dependencies"], *direct(project, EXTRAS)])
        if extras != EXTRAS:
            names = sorted(set(closure(direct(project, extras))) - set(names))
    head = "# Written by: python -m tools.images. To be installed with --no-deps.\n"
    return head + "".join(f"{name}=={versions[name]}\n" for name in names)
