"""The models that all systems get: one of the demo's, or one of a true Whisper shape with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtc_stt import demo_models
from rtc_stt.bench import shapes
from rtc_stt.config import ContextPolicy, StreamOptions
from rtc_stt.errors import ConfigError

__all__ = ["NAMES", "Weights", "locate"]

NAMES = ("demo", "demo-tiny", *(f"shape:{name}" for name in shapes.SHAPES))
"""``demo`` is the more accurate of the two."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One model for everybody."""

    name: str
    folder: Path
    cost_only: bool
    """Random weights: they say a fixed text, and no figure about words means anything."""
    context_policy: str

    @property
    def configuration(self) -> dict[str, str]:
        """Of our server: this one model, and no other tier."""
        only = {"CT2_SMALL_PATH": str(self.folder), "CT2_MEDIUM_PATH": ""}
        if not self.cost_only:
            return only
        # The demo's command has values of its own for these, which suit its own models.
        usual = StreamOptions()
        return only | {
            "CONTEXT_POLICY": self.context_policy,
            "COMMIT_AFTER_S": str(usual.commit_after_s),
            "CARRY_CONTEXT": str(usual.carry_context).lower(),
        }


def locate(name: str, models: Path) -> Weights:
    """One of :data:`NAMES`; a shape is made in ``models`` if it is not there yet, which takes a minute.

    Raises:
        ConfigError: there is no such model.
    """
    if name in ("demo", "demo-tiny"):
        model = demo_models.ACCURATE if name == "demo" else demo_models.FAST
        return Weights(name, model.path.absolute(), False, model.context_policy)
    if name in NAMES:
        folder = shapes.model_folder(models, name.removeprefix("shape:"))
        return Weights(name, folder.absolute(), True, str(ContextPolicy.PADDED))
    raise ConfigError(f"there are no models {name!r}; there are {', '.join(NAMES)}")
