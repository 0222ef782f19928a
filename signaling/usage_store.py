"""The SQLite file that remembers what each key has used. Blocks; every call comes from one thread.

One table, a row for each day and name: ``usage (day, name, audio_seconds, requests, sessions)``. Several
processes may share the file: each adds what it has counted to what is there.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator

from rtc_stt.errors import ConfigError
from signaling.usage import Amount, Amounts, date_of, day_from

__all__ = ["UsageStore"]

APPLICATION_ID = 0x52545355
"""Tells the file from that of any other program."""

SCHEMA = 1

BUSY_S = 5.0
"""For another process to finish its writing, which takes it milliseconds."""

KEEP_DAYS = 400
"""Older days are deleted: a year can be compared with the one before, and the file does not grow for
ever."""

CREATE = """
CREATE TABLE usage (
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    audio_seconds REAL NOT NULL,
    requests INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, name)
) WITHOUT ROWID
"""

ADD = """
INSERT INTO usage (day, name, audio_seconds, requests, sessions) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (day, name) DO UPDATE SET
    audio_seconds = audio_seconds + excluded.audio_seconds,
    requests = requests + excluded.requests,
    sessions = sessions + excluded.sessions
"""

READ_ALL = "SELECT day, name, audio_seconds, requests, sessions FROM usage WHERE day >= ?"
READ_ONE = f"{READ_ALL} AND day <= ? AND name = ?"


class UsageStore:
    """See above. After an error the file is opened anew by the next call.

    Args:
        path: of the file; it is made where there is none.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self, since: int) -> dict[tuple[int, str], Amount]:
        """Make sure that it can be written, and tell what it holds of the days from ``since`` on.

        Raises:
            ConfigError: it cannot, is no database, is damaged, or belongs to another program or release.
        """
        try:
            with self._transaction() as db:
                if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise ConfigError(f"USAGE_DB: {self._path} is damaged")
            return self.sync({}, since)
        except sqlite3.Error as error:
            raise ConfigError(f"USAGE_DB: {self._path} cannot be used ({error})") from error

    def sync(self, amounts: Amounts, since: int) -> dict[tuple[int, str], Amount]:
        """Add to what is there, all or nothing, and tell what it then holds of the days from ``since`` on.

        Raises:
            sqlite3.Error, ConfigError: nothing was added.
        """
        rows = [
            (date_of(day), name, amount.audio_s, amount.requests, amount.sessions)
            for (day, name), amount in amounts.items()
        ]
        with self._transaction() as db:
            db.executemany(ADD, rows)
            db.execute("DELETE FROM usage WHERE day < ?", (date_of(since - KEEP_DAYS),))
            return _read(db.execute(READ_ALL, (date_of(since),)))

    def read(self, name: str, first: int, last: int) -> dict[tuple[int, str], Amount]:
        """What an account has used on the days from ``first`` to ``last``.

        Raises:
            sqlite3.Error, ConfigError: it cannot be read.
        """
        with self._transaction("BEGIN") as db:
            return _read(db.execute(READ_ONE, (date_of(first), date_of(last), name)))

    def close(self) -> None:
        """Let go of the file."""
        if self._connection:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[sqlite3.Connection]:
        """By default one that writes: one that turns from reading to writing may find that it cannot."""
        try:
            db = self._connection = self._connection or self._connect()
            db.execute(begin)
            self._check_schema(db)
            yield db
            db.execute("COMMIT")
        except BaseException:
            self.close()  # which takes back what was begun
            raise

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        try:
            # With a log of its own a reader does not hold up a writer, and a crash of this process loses
            # nothing that was committed. Without a full sync one of the machine may lose the last seconds.
            _begin_log(db)
            db.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            db.close()
            raise
        return db

    def _check_schema(self, db: sqlite3.Connection) -> None:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (schema,) = db.execute("PRAGMA user_version").fetchone()
        if (application, schema) == (APPLICATION_ID, SCHEMA):
            return
        if application == APPLICATION_ID:
            raise ConfigError(f"USAGE_DB: {self._path} was made by another release (schema {schema})")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application or schema or tables:
            raise ConfigError(f"USAGE_DB: {self._path} is the database of another program")
        db.execute(CREATE)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA}")


def _begin_log(db: sqlite3.Connection) -> None:
    """SQLite's own patience does not cover this step, which several processes may want to take at once."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _read(rows: sqlite3.Cursor) -> dict[tuple[int, str], Amount]:
    try:
        return {
            (day_from(day), name): Amount(float(audio_s), int(requests), int(sessions))
            for day, name, audio_s, requests, sessions in rows
        }
    except (ValueError, TypeError) as error:  # SQLite takes anything for a number
        raise sqlite3.DataError("a row is malformed") from error
