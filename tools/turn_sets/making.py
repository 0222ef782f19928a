"""Makes the folder: every scene in a process of its own, and one manifest.

In a process of its own, for espeak-ng draws random numbers that nobody can reset: how it says something
depends on all that it has said before. So a scene is the same whichever others are made.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.manifest import load
from rtc_stt.bench.turns.manifest_form import FORM, parse
from rtc_stt.bench.turns.scene import Scene
from tools.demo_models.audio import write_flac
from tools.turn_sets import human, scripts, synthetic
from tools.turn_sets.sound import with_floor

SEED = 20_260_701
LICENCE = "MIT"
HUMAN = "human"

_SETS: dict[str, tuple[int, Callable[[int, str, random.Random], synthetic.Laid]]] = {
    "single": (len(scripts.SINGLE), synthetic.single),
    "pauses-300": (len(scripts.PAUSES[300]), partial(synthetic.pause, 300)),
    "pauses-600": (len(scripts.PAUSES[600]), partial(synthetic.pause, 600)),
    "back-to-back": (len(scripts.BACK_TO_BACK), synthetic.back_to_back),
    "barge-in": (len(scripts.BARGE_IN), synthetic.barge_in),
    "whisper": (len(scripts.WHISPER), synthetic.whisper),
    "monologue": (len(scripts.MONOLOGUE), synthetic.monologue),
    "languages": (len(scripts.LANGUAGES), synthetic.languages),
}
SETS = (*_SETS, HUMAN)


@dataclass(frozen=True)
class Recipe:
    """One scene to be made. `folder` is where the recordings of people are; only their set needs it."""

    set: str
    number: int
    folder: Path | None = None

    @property
    def id(self) -> str:
        return f"{self.set}-{self.number + 1:02d}"


def recipes(sets: Sequence[str], folder: Path | None) -> list[Recipe]:
    """Those of the sets. Without a folder there are none of people."""
    made = []
    for name in sets:
        count = human.COUNT if name == HUMAN else _SETS[name][0]
        if name != HUMAN or folder:
            made += [Recipe(name, number, folder) for number in range(count)]
    return made


def make(recipe: Recipe) -> tuple[Scene, Samples]:
    """The scene and its sound. Call it in a fresh process for the same samples each time.

    Raises:
        FileNotFoundError: the folder lacks a recording.
        ValueError: espeak-ng lacks a voice.
    """
    rng = random.Random(f"{SEED} {recipe.id}")
    if recipe.set == HUMAN:
        assert recipe.folder is not None
        samples, turns = human.scene(recipe.folder, recipe.number, recipe.id, rng)
        licence = human.licence(recipe.number)
    else:
        samples, turns = _SETS[recipe.set][1](recipe.number, recipe.id, rng)
        licence = LICENCE
    file = f"{recipe.set}/{recipe.id}.flac"
    scene = Scene(id=recipe.id, set=recipe.set, file=file, turns=tuple(turns), licence=licence)
    return scene, with_floor(samples, np.random.default_rng([SEED, *recipe.id.encode()]))


def made(wanted: Sequence[Recipe], workers: int = 2) -> Iterator[tuple[Scene, Samples]]:
    """All of them, in order. Raises as :func:`make`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports once, and never speaks itself
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        yield from pool.map(make, wanted)


def write(folder: Path, sets: Sequence[str], recordings: Path | None) -> int:
    """Write these sets and the manifest; other sets of the folder stay. Gives the bytes of all of it.

    Raises as :func:`make`.
    """
    kept = [
        scene for scene in _there(folder) if scene.set not in sets or (scene.set == HUMAN and not recordings)
    ]
    scenes: list[Scene] = []
    wanted = recipes(sets, recordings)
    for name in {recipe.set for recipe in wanted}:
        shutil.rmtree(folder / name, ignore_errors=True)
    for scene, samples in tqdm(made(wanted), total=len(wanted), unit="scene", desc="turn sets"):
        path = folder / scene.file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flac(path, samples)
        scenes.append(scene)
    order = {name: number for number, name in enumerate(SETS)}
    scenes = sorted([*kept, *scenes], key=lambda scene: (order.get(scene.set, len(order)), scene.id))
    (folder / "turns.json").write_text(manifest(scenes), "utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def manifest(scenes: Sequence[Scene]) -> str:
    """`turns.json`, one scene a line: a change of the sets reads as a diff.

    Raises BadAudio where it would not be read again.
    """
    lines = ",\n".join(json.dumps(_entry(scene), ensure_ascii=False) for scene in scenes)
    text = f'{{"form": {FORM}, "scenes": [\n{lines}\n]}}\n'
    parse(text)
    return text


def _entry(scene: Scene) -> dict[str, Any]:
    entry = {"id": scene.id, "set": scene.set, "file": scene.file, "licence": scene.licence}
    return {**entry, "turns": [asdict(turn) for turn in scene.turns]}


def _there(folder: Path) -> list[Scene]:
    return load(folder) if (folder / "turns.json").is_file() else []
