"""Events that could not be delivered, in a file."""

from __future__ import annotations

import os
import stat

import pytest

from rtc_stt.errors import ConfigError
from signaling.telephony import dead_letters
from signaling.telephony.dead_letters import DeadLetters


class Lost:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_they_are_kept_in_order_for_their_owner_only(tmp_path):
    path, lost = tmp_path / "dead.jsonl", Lost()
    letters = DeadLetters(str(path), lost)
    for number in range(100):
        letters.keep(b"%d" % number)
    await letters.aclose()
    letters.keep(b"more")
    await letters.aclose()
    assert path.read_text().split() == [*map(str, range(100)), "more"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lost.count == 0


async def test_where_none_are_wanted_none_are_kept():
    letters = DeadLetters("", Lost())
    letters.keep(b"x")
    await letters.aclose()


async def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "no" / "folder", link, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="WEBHOOK_DEAD_LETTERS"):
            DeadLetters(str(place), Lost())
    assert not (tmp_path / "elsewhere").exists()


async def test_a_file_that_others_may_read_is_told_of(tmp_path, caplog):
    path = tmp_path / "dead.jsonl"
    path.touch()
    path.chmod(0o644)
    DeadLetters(str(path), Lost())
    assert "chmod" in caplog.text
    assert str(tmp_path) not in caplog.text


async def test_what_cannot_be_kept_is_counted(tmp_path, monkeypatch, caplog):
    lost = Lost()
    letters = DeadLetters(str(tmp_path / "dead.jsonl"), lost)
    monkeypatch.setattr(dead_letters, "MAX_WAITING", 3)
    for _ in range(5):
        letters.keep(b"x")
    assert lost.count == 2
    await letters.aclose()
    monkeypatch.setattr(dead_letters, "MAX_FILE_BYTES", 1)
    letters.keep(b"secret")
    await letters.aclose()
    assert lost.count == 3
    (tmp_path / "dead.jsonl").unlink()
    (tmp_path / "dead.jsonl").mkdir()
    letters.keep(b"secret")
    await letters.aclose()
    assert lost.count == 4
    assert "secret" not in caplog.text
