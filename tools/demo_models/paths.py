"""Where the recipe reads and writes. One place, so that no other module builds paths of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
REPOSITORY = RECIPE.parent.parent
PACKAGED_MODELS = REPOSITORY / "rtc_stt" / "demo_models"
# The tokenizer is part of both model folders; the recipe reads the shipped one instead of keeping a
# third copy.
TOKENIZER = PACKAGED_MODELS / "demo-tiny" / "tokenizer.json"
PHONES = RECIPE / "phones.json"
CHECKPOINTS = RECIPE / "checkpoints"
TEST_CLIPS = REPOSITORY / "tests" / "clips"
WEB_SAMPLES = REPOSITORY / "web_demo" / "samples"
DEFAULT_WORK = REPOSITORY / "build" / "demo_models"


@dataclass(frozen=True)
class Work:
    """The scratch folder of one run. Everything in it can be made again."""

    root: Path

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    @property
    def test_sets(self) -> Path:
        return self.root / "test-sets"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def fsdd(self) -> Path:
        return self.root / "fsdd"

    def checkpoint(self, name: str) -> Path:
        return self.checkpoints / f"{name}.pt"

    def model(self, name: str) -> Path:
        return self.models / name
