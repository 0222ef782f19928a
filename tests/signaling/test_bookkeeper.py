"""The pump between ledger and file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rtc_stt.errors import ConfigError, QuotaExceeded, Unavailable
from rtc_stt.instrument import Instrument
from signaling import bookkeeper as module
from signaling.bookkeeper import Bookkeeper
from signaling.usage import DAY_S, Account, Amount, Usage
from signaling.usage_store import UsageStore

DAY = 20_000
NOW = DAY * DAY_S + 3600.0


class Watcher(Instrument):
    failures = 0

    def usage_not_written(self) -> None:
        self.failures += 1


class Books:
    """A ledger, its keeper, and a clock that tests may set."""

    def __init__(self, path: str) -> None:
        self.now = NOW
        self.watcher = Watcher()
        self.usage = Usage(daily_audio_s=100, has_store=bool(path))
        self.usage.know({"one": Account("acme"), "two": Account("other")})
        self.keeper = Bookkeeper(self.usage, path, self.watcher, clock=lambda: self.now)


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not ready():
            await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "usage.db")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WRITE_S", 0.02)


def stored(path: str) -> dict[tuple[int, str], Amount]:
    store = UsageStore(path)
    try:
        return store.read("acme", DAY - 99, DAY + 99)
    finally:
        store.close()


async def test_what_is_counted_is_written_soon_and_read_back_by_the_next(path: str) -> None:
    books = Books(path)
    await books.keeper.start()
    books.usage.add("one", NOW, audio_s=60, requests=1)
    await until(lambda: stored(path) == {(DAY, "acme"): Amount(60, 1)})
    books.usage.add("one", NOW, audio_s=40)
    await books.keeper.stop()
    assert stored(path) == {(DAY, "acme"): Amount(100, 1)}, "at the end all of it"

    following = Books(path)
    await following.keeper.start()
    with pytest.raises(QuotaExceeded):
        following.usage.check("one", NOW)
    following.usage.check("two", NOW)
    await following.keeper.stop()


async def test_quotas_hold_across_processes(path: str) -> None:
    here, there = Books(path), Books(path)
    await here.keeper.start()
    await there.keeper.start()
    here.usage.add("one", NOW, audio_s=60)
    there.usage.add("one", NOW, audio_s=60)
    for books in (here, there):
        await until(lambda books=books: books.usage.remaining_s("one", NOW) == 0)
    await here.keeper.stop()
    await there.keeper.stop()
    assert stored(path) == {(DAY, "acme"): Amount(120)}


async def test_a_report_has_every_day_and_what_is_not_written_yet(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_S", 60.0)
    books = Books(path)
    UsageStore(path).sync({(DAY - 5, "acme"): Amount(5), (DAY - 1, "acme"): Amount(1)}, DAY)
    await books.keeper.start()
    books.usage.add("one", NOW, audio_s=7, sessions=1)
    assert await books.keeper.report("one", 1) == [(DAY, Amount(7, 0, 1))]
    told = await books.keeper.report("one", 6)
    assert [day for day, _ in told] == list(range(DAY - 5, DAY + 1))
    assert [amount.audio_s for _, amount in told] == [5, 0, 0, 0, 1, 7]
    assert {amount for _, amount in await books.keeper.report("two", 92)} == {Amount()}
    await books.keeper.stop()


async def test_without_a_file_there_is_a_report_of_today_and_yesterday() -> None:
    books = Books("")
    await books.keeper.start()
    books.usage.add("one", NOW - DAY_S, audio_s=1)
    books.usage.add("one", NOW, audio_s=2)
    assert await books.keeper.report("one", 3) == [
        (DAY - 2, Amount()),
        (DAY - 1, Amount(1)),
        (DAY, Amount(2)),
    ]
    await books.keeper.stop()


async def test_a_file_that_breaks_later_is_told_once_and_nothing_is_lost(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    books = Books(path)
    await books.keeper.start()
    spoil(path)
    books.usage.add("one", NOW, audio_s=60)
    await until(lambda: books.watcher.failures >= 3)
    assert caplog.text.count("cannot be written") == 1
    assert books.usage.remaining_s("one", NOW) == 40, "it goes on counting"
    with pytest.raises(Unavailable, match="earlier days"):
        await books.keeper.report("one", 31)
    assert (await books.keeper.report("one", 2))[-1] == (DAY, Amount(60))
    books.usage.add("one", NOW, audio_s=5)
    mend(path)
    await until(lambda: "written to" in caplog.text and "again" in caplog.text)
    await books.keeper.stop()
    assert stored(path) == {(DAY, "acme"): Amount(65)}


async def test_what_is_lost_at_the_end_is_told(path: str, caplog: pytest.LogCaptureFixture) -> None:
    books = Books(path)
    await books.keeper.start()
    spoil(path)
    await until(lambda: books.watcher.failures)
    assert "is lost" not in caplog.text
    await books.keeper.stop()
    assert "is lost" in caplog.text


def spoil(path: str) -> None:
    """The same from inside: the table is gone."""
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE usage RENAME TO moved")
    db.close()


def mend(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE moved RENAME TO usage")
    db.close()


async def test_a_file_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="USAGE_DB"):
        await Books(str(tmp_path)).keeper.start()


async def test_the_end_does_not_wait_for_a_file_that_hangs(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "END_S", 0.1)
    books = Books(path)
    await books.keeper.start()
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        async with asyncio.timeout(2):
            await books.keeper.stop()
        assert "is lost" in caplog.text
    finally:
        lock.close()


async def test_nothing_waits_for_the_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds it the loop goes on, and so does counting."""
    books = Books(path)
    await books.keeper.start()
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    await asyncio.sleep(0.05)  # the next writing has begun
    longest = 0.0
    for _ in range(20):
        began = asyncio.get_running_loop().time()
        books.usage.add("one", NOW, audio_s=1)
        await asyncio.sleep(0.005)
        longest = max(longest, asyncio.get_running_loop().time() - began)
    lock.close()
    await books.keeper.stop()
    assert longest < 0.5
    assert stored(path) == {(DAY, "acme"): Amount(20)}
