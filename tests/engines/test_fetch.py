"""From what the operator wrote to a model folder."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from rtc_stt.engines.fetch import NAMES, locate
from rtc_stt.errors import ModelError


@pytest.fixture
def hub(monkeypatch) -> list[str]:
    """A hub that cannot be reached, and what it was asked for."""
    asked: list[str] = []

    def unreachable(repository: str, **_: object) -> str:
        asked.append(repository)
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    return asked


def test_a_folder_is_taken_as_it_is(tmp_path, hub):
    folder = tmp_path / "my-model"
    folder.mkdir()
    assert locate(str(folder)) == (folder, "my-model")
    assert hub == []


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch, hub):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m").mkdir()
    assert locate("~/m") == (tmp_path / "m", "m")


@pytest.mark.parametrize("path", ["./nowhere", "/no/where", "~/nowhere", "smal", "a/b/c"])
def test_what_is_neither_folder_nor_name_is_an_error_that_lists_the_names(path, hub):
    with pytest.raises(ModelError) as error:
        locate(path)
    assert "medium" in str(error.value)
    assert hub == []


@pytest.mark.parametrize("name", [*NAMES, "someone/their-model"])
def test_a_name_that_cannot_be_fetched_is_an_error_that_says_what_to_do(name, hub):
    with pytest.raises(ModelError, match="copy the folder"):
        locate(name)
    [repository] = hub
    assert repository.count("/") == 1


def test_a_fetched_model_is_called_by_the_last_part_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert locate("someone/their-model") == (Path(tmp_path), "their-model")
    assert locate("small") == (Path(tmp_path), "small")
