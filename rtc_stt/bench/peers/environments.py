"""A Python environment for each peer, made from its pinned requirements."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rtc_stt.bench.peers.recipe import Peer
from rtc_stt.errors import TargetFailed

__all__ = ["ENVIRONMENTS", "Environment"]

ENVIRONMENTS = Path("build") / "peers"
"""Where they are made if nothing else is said: in the checkout, ignored by git."""

SCRIPTS = Path(__file__).parent

LAST_WORDS = 20
"""Lines of pip that are told where it failed."""


@dataclass(frozen=True, slots=True)
class Environment:
    """That of one peer, below ``folder``."""

    peer: Peer
    folder: Path = ENVIRONMENTS

    @property
    def path(self) -> Path:
        """The environment."""
        return self.folder / self.peer.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return (self.path / "bin" / "python").absolute()

    @property
    def script(self) -> Path:
        """What runs in it."""
        return SCRIPTS / f"{self.peer.name}.py"

    @property
    def requirements(self) -> Path:
        """Every package with its version, those included that others ask for."""
        return SCRIPTS / "requirements" / f"{self.peer.name}.txt"

    @property
    def is_ready(self) -> bool:
        """Whether it was installed, from the requirements as they are now."""
        try:
            return self._stamp.read_text("utf-8") == self.requirements.read_text("utf-8")
        except OSError:
            return False

    @property
    def _stamp(self) -> Path:
        return self.path / "installed.txt"

    def install(self) -> None:
        """Make it, or bring it up to date. Needs the package index.

        Nothing is installed but what is listed, so that no package drags in what is not used (CUDA,
        PortAudio): see :attr:`~rtc_stt.bench.peers.recipe.Peer.left_out`.

        Raises:
            TargetFailed: pip failed; the message holds its last words.
        """
        self._call([sys.executable, "-m", "venv", str(self.path)])
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-input"]
        self._call([*pip, "--requirement", str(self.requirements)])
        self._stamp.write_text(self.requirements.read_text("utf-8"), "utf-8")

    def _call(self, command: list[str]) -> None:
        done = subprocess.run(  # noqa: S603 — fixed, but for folders that the user names
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            said = "\n".join(done.stdout.splitlines()[-LAST_WORDS:])
            raise TargetFailed(f"the environment of {self.peer.name} could not be made:\n{said}")
