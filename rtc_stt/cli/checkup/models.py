"""Are the models there, whole, and can they be loaded?"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rtc_stt.cli.checkup.finding import Finding, bad, doubtful, good
from rtc_stt.config import Decoding
from rtc_stt.engines.fetch import NAMES
from rtc_stt.errors import ModelError
from rtc_stt.loading import Model, both_models, load_engines, runs_on_cpu

__all__ = ["look", "look_at_folder"]

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
SMALLEST_MODEL = 1024 * 1024
"""Bytes: what is smaller is a pointer of Git LFS, or was cut off."""


def look(decoding: Decoding, *, load: bool, clock: Callable[[], float] = time.monotonic) -> list[Finding]:
    """At each model that is configured; with ``load`` they are loaded as a server would."""
    try:
        models = both_models(decoding)
    except ModelError as error:
        return [bad("models", str(error), "see docs/start.md")]
    findings = [found for tier, model in models.items() for found in look_at_folder(str(tier), model)]
    if len(models) == 1 and not any(f.state.value == "fail" for f in findings):
        findings.append(good("models", "no accurate tier here; see FALLBACK_URL for one elsewhere"))
    if load and all(f.state.value == "ok" for f in findings):
        findings.append(_load(decoding, clock))
    return findings


def look_at_folder(tier: str, model: Model) -> list[Finding]:
    """At one model, without loading it."""
    about = f"{tier} model"
    if "://" in model.path:
        return [good(about, "is fetched from its server on first start, and checked")]
    path = Path(model.path).expanduser()
    if not path.exists():
        if model.path in NAMES or (model.path.count("/") == 1 and model.path[0] not in "./~"):
            return [good(about, f"{model.path} is fetched on first start, where it is not here yet")]
        return [bad(about, f"there is no folder {path}", "mount it, or name a model such as small")]
    missing = [name for name in NEEDED_FILES if not (path / name).is_file()]
    if missing:
        is_original = (path / "model.safetensors").exists()
        hint = "convert it: ct2-transformers-converter" if is_original else "copy it again"
        return [bad(about, f"{path} lacks {', '.join(missing)}", hint)]
    size = (path / "model.bin").stat().st_size
    if size < SMALLEST_MODEL:
        return [
            bad(
                about,
                f"model.bin in {path} has {size} bytes",
                "it is a pointer of Git LFS or cut off: fetch it again",
            )
        ]
    if not any(path.glob("vocabulary.*")):
        return [doubtful(about, f"{path} has no vocabulary file", "copy the folder again")]
    return [good(about, f"{path}, {size / 2**20:.0f} MiB")]


def _load(decoding: Decoding, clock: Callable[[], float]) -> Finding:
    began = clock()
    try:
        engines, concurrency = load_engines(decoding)
    except ModelError as error:
        return bad("models", str(error), "what is above says why, or fetch the model again")
    device = "the CPU" if runs_on_cpu(decoding) else f"GPU {decoding.device_index}"
    says = f"{' and '.join(engines)} loaded in {clock() - began:.1f} s for {device}"
    return good("models", f"{says}; {concurrency} decodes at a time")
