"""A model that several processes of a machine want at once."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from rtc_stt.engines import on_node, store
from rtc_stt.engines.on_node import locate_once
from rtc_stt.errors import ModelError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that looks like one."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    store.make_sums(folder)
    return folder


def test_it_is_checked_once_until_it_changes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    verify = store.verify
    monkeypatch.setattr(on_node.store, "verify", lambda folder: looked.append(folder) or verify(folder))
    for _ in range(2):
        assert locate_once(str(model), tmp_path / "notes") == (model, "small")
    assert len(looked) == 1
    (model / "model.bin").write_bytes(b"wrong!!")
    with pytest.raises(ModelError, match=r"model\.bin"):
        locate_once(str(model), tmp_path / "notes")


def test_where_nothing_can_be_written_it_is_checked_each_time(model: Path, tmp_path: Path) -> None:
    notes = tmp_path / "a file, no folder"
    notes.touch()
    assert locate_once(str(model), notes)[0] == model


def test_a_folder_without_sums_is_taken_as_it_is(model: Path, tmp_path: Path) -> None:
    (model / "SHA256SUMS").unlink()
    (model / "model.bin").write_bytes(b"mine")
    assert locate_once(str(model), tmp_path / "notes")[0] == model


def _hold(notes: Path, held: multiprocessing.synchronize.Event, seconds: float) -> None:
    with on_node._alone(notes, "x.lock"):
        held.set()
        time.sleep(seconds)


@pytest.mark.slow
def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    first = context.Process(target=_hold, args=(tmp_path, held, 0.5))
    first.start()
    assert held.wait(20)
    began = time.monotonic()
    with on_node._alone(tmp_path, "x.lock"):
        waited = time.monotonic() - began
    first.join()
    assert waited > 0.3
