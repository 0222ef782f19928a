"""Builds the images by buildah, on a machine that no registry can be reached from.

The base image of the Dockerfile is stood in for by a Debian that is bootstrapped from its packages, under the
same name. All else is the real thing: the Dockerfile, its stages and layers, the packages of PyPI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["NEEDED", "TARGETS", "Engine", "base_name", "base_packages"]

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
TARGETS = ("fallback", "primary", "gateway")
NEEDED = ("buildah", "mmdebstrap")
"""Programs of Debian's packages of the same names."""

base_packages = ("python3.11", "python3-pip", "ca-certificates", "netbase", "tzdata")
"""Besides what every Debian has: what the official image has, too."""

OF_THIS_MACHINE = ("/etc/ssl/certs", "/etc/pip.conf", "/opt/pypi", "/opt/pypi-more")
"""How packages are reached from here, where it says so: read by the steps of the build, in no layer."""


def base_name(dockerfile: str) -> str:
    """The image that the Dockerfile starts from, as a registry has it."""
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.M)
    assert found is not None, "the Dockerfile names its base"
    return f"docker.io/library/{found[1]}"


@dataclass(frozen=True)
class Engine:
    """buildah with a store of its own in a folder, which is all that it leaves behind."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        places = f'runroot = "{self.folder}/run"\ngraphroot = "{self.folder}/store"\n'
        (self.folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\n{places}')
        (self.folder / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')

    def __call__(self, *arguments: str) -> str:
        """Run it, and return what it says.

        Raises:
            RuntimeError: it failed; with the end of what it said.
        """
        environment = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
            "TMPDIR": str(self.folder),
        }
        done = subprocess.run(
            ["buildah", *arguments], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
        )
        with (self.folder / "log").open("a") as log:
            log.write(f"+ buildah {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]}: {(done.stdout + done.stderr)[-2000:]}")
        return done.stdout.strip()

    def bootstrap(self) -> float:
        """Make the base; returns the seconds that it took."""
        began, archive = time.monotonic(), self.folder / "base.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(base_packages)}", "bookworm",
             str(archive)], check=True,
        )  # fmt: skip
        container = self("from", "scratch")
        self("add", "--quiet", container, str(archive), "/")
        self("commit", "--quiet", "--rm", container, base_name(DOCKERFILE.read_text()))
        archive.unlink()
        return time.monotonic() - began

    def build(self, target: str, variant: str) -> float:
        """Build one target from the Dockerfile; returns the seconds that it took."""
        began = time.monotonic()
        mounts = [
            text for path in OF_THIS_MACHINE if Path(path).exists() for text in ("-v", f"{path}:{path}:ro")
        ]
        self(
            "build", "--isolation", "chroot", "--layers", "--format", "docker", "--pull-never",
            "--ignorefile", ".dockerignore", "--file", str(DOCKERFILE), "--target", target,
            "--build-arg", f"VARIANT={variant}", *mounts, "--tag", f"rtc-stt-{target}:{variant}", ".",
        )  # fmt: skip
        return time.monotonic() - began

    def image(self, name: str) -> dict[str, Any]:
        """Configuration, history and layers of an image, as Docker has them."""
        told: dict[str, Any] = json.loads(self("inspect", "--type", "image", name))["Docker"]
        return told

    def layers(self, name: str) -> list[dict[str, Any]]:
        """Each layer of an image: by what it was made, its digest, and its size in MB."""
        image = self.image(name)
        sizes = {
            layer["diff-digest"]: layer.get("diff-size", 0)
            for layer in json.loads((self.folder / "store/overlay-layers/layers.json").read_text())
        }
        made = [entry["created_by"] for entry in image["history"] if not entry.get("empty_layer")]
        return [
            {"by": _short(by), "digest": digest, "mb": round(sizes[digest] / 1e6, 1)}
            for by, digest in zip(made, image["rootfs"]["diff_ids"], strict=True)
        ]

    @contextmanager
    def mounted(self, name: str) -> Iterator[Path]:
        """The files of a container of an image; a layer of its own takes what is written."""
        container = self("from", "--pull-never", name)
        try:
            yield Path(self("mount", container))
        finally:
            self("umount", container)
            self("rm", container)

    def remove(self) -> None:
        """All that was made."""
        self("rm", "--all")
        self("rmi", "--all", "--force")
        shutil.rmtree(self.folder)


def _short(made_by: str) -> str:
    text = re.sub(r"^/bin/sh( -c)?( #\(nop\))?\s*", "", made_by)
    return re.sub(r"\s+", " ", re.sub(r"(dir|file):[0-9a-f]+", "…", text))[:100] or "base"


def missing(programs: Sequence[str] = NEEDED) -> list[str]:
    """Those that are not installed here."""
    return [program for program in programs if shutil.which(program) is None]
