"""The SQLite file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rtc_stt.errors import ConfigError
from signaling.usage import Amount, date_of
from signaling.usage_store import KEEP_DAYS, UsageStore

DAY = 20_000


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "usage.db")


def read(path: str, day: int = DAY - 1) -> dict[tuple[int, str], Amount]:
    store = UsageStore(path)
    try:
        return store.open(day)
    finally:
        store.close()


def test_what_is_added_is_there_after_a_restart(path: str) -> None:
    store = UsageStore(path)
    assert store.open(DAY) == {}
    told = store.sync({(DAY, "acme"): Amount(1.5, 2, 3), (DAY - 9, "acme"): Amount(7)}, DAY - 1)
    assert told == {(DAY, "acme"): Amount(1.5, 2, 3)}
    assert store.sync({(DAY, "acme"): Amount(1.0)}, DAY - 1) == {(DAY, "acme"): Amount(2.5, 2, 3)}
    assert store.read("acme", DAY - 9, DAY - 1) == {(DAY - 9, "acme"): Amount(7)}
    assert store.read("other", DAY - 9, DAY) == {}
    store.close()
    assert read(path) == {(DAY, "acme"): Amount(2.5, 2, 3)}


def test_the_days_are_dates_for_who_reads_the_file(path: str) -> None:
    UsageStore(path).sync({(DAY, "acme"): Amount(1.5, 2, 3)}, DAY)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT * FROM usage").fetchall() == [("2024-10-04", "acme", 1.5, 2, 3)]
    db.close()


def test_old_days_are_deleted(path: str) -> None:
    store = UsageStore(path)
    store.sync({(DAY - KEEP_DAYS, "acme"): Amount(1), (DAY - KEEP_DAYS - 1, "acme"): Amount(1)}, DAY)
    assert list(store.read("acme", 0, DAY)) == [(DAY - KEEP_DAYS, "acme")]
    store.close()


WRITER = """
import sys
from signaling.usage import Amount
from signaling.usage_store import UsageStore
store = UsageStore(sys.argv[1])
store.open(20_000)
for number in range(50):
    store.sync({(20_000, "acme"): Amount(1.0, 1)}, 20_000)
store.close()
"""


def test_several_processes_add_up(path: str) -> None:
    """They also make the file, all at once."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path]) for _ in range(4)]
    assert [writer.wait(30) for writer in writers] == [0] * 4
    assert read(path) == {(DAY, "acme"): Amount(200.0, 200)}


def test_a_process_that_is_killed_leaves_a_file_that_can_be_used(path: str) -> None:
    crash = WRITER.replace("store.close()", "import os; os.kill(os.getpid(), 9)")
    assert subprocess.run([sys.executable, "-c", crash, path], check=False).returncode == -9
    assert read(path) == {(DAY, "acme"): Amount(50.0, 50)}


def test_what_is_added_in_vain_is_not_added_in_part(path: str) -> None:
    store = UsageStore(path)
    store.open(DAY)
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TRIGGER t BEFORE INSERT ON usage WHEN new.name = 'b' BEGIN SELECT raise(FAIL, 'no'); END"
        )
    db.close()
    with pytest.raises(sqlite3.Error):
        store.sync({(DAY, "a"): Amount(1), (DAY, "b"): Amount(1)}, DAY)
    assert store.sync({(DAY, "c"): Amount(1)}, DAY) == {(DAY, "c"): Amount(1)}, "it goes on"
    store.close()


def make_garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def make_damaged(path: Path) -> None:
    store = UsageStore(str(path))
    store.sync({(DAY, f"name-{number}"): Amount(1) for number in range(1_000)}, DAY)
    store.close()
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(os.urandom(4 * 4096))


def make_foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE customers (name TEXT)")
    db.close()


def make_newer(path: Path) -> None:
    UsageStore(str(path)).sync({}, DAY)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (make_garbage, "not a database"),
        (make_damaged, "damaged|malformed"),
        (make_foreign, "another program"),
        (make_newer, "another release"),
        (Path.mkdir, "unable to open"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start_and_left_as_it_is(tmp_path: Path, make, word: str) -> None:
    path = tmp_path / "usage.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ConfigError, match=word) as error:
        read(str(path))
    assert str(error.value).startswith("USAGE_DB: ")
    if make in (make_garbage, make_newer):
        assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unable to open"):
        read(str(tmp_path / "none" / "usage.db"))


def test_a_row_that_somebody_spoilt_is_an_error_like_any_other(path: str) -> None:
    store = UsageStore(path)
    store.sync({(DAY, "acme"): Amount(1)}, DAY)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE usage SET audio_seconds = 'much'")
    db.close()
    with pytest.raises(sqlite3.DataError):
        store.sync({}, DAY)
    store.close()


def test_a_date_is_what_is_compared() -> None:
    assert date_of(DAY - 1) < date_of(DAY) < date_of(DAY + 400)
