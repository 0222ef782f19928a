"""Logging of every process: one handler on standard error, as text or as a JSON object a line.

A line carries the ids by which it is found: of the request, the session, the call, the trace. They are bound
to the task that works on a request (:func:`bind`), or to a logger that knows whose it is (:class:`IdLog`);
never to what is shared, for a callback inherits the context of whoever happened to cause it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from rtc_stt.log_writer import MOST_LINE_CHARS, LogWriter

__all__ = ["IDS", "IdLog", "LogOptions", "bind", "bound", "line_counts", "set_up"]

IDS = ("request_id", "session_id", "call_id", "trace_id", "span_id")
"""Fields of a line in their order. What is bound besides is not told: ``traceparent`` goes on to others."""

_writers: list[LogWriter] = []


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to log."""

    format: str = "text"
    """``text`` or ``json``."""
    level: str = "warning"
    process: str = ""
    """Which of several processes this is, in every line; empty where there is one."""


# ── Ids ────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Bound:
    """Ids, and the one task whose they are."""

    owner: int
    ids: Mapping[str, str]
    is_open: bool = True


_bound: ContextVar[_Bound | None] = ContextVar("ids of log lines", default=None)

_THREAD = -1


def _here() -> int:
    """Who runs: a task, a callback of the loop (0), or a thread without a loop."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return _THREAD
    return id(task) if task else 0


def bound() -> dict[str, str]:
    """The ids of what is being worked on here."""
    found = _bound.get()
    if found is None or not found.is_open or _here() not in (found.owner, _THREAD):
        return {}
    return dict(found.ids)


@contextlib.contextmanager
def bind(**ids: str) -> Iterator[None]:
    """Let the lines of this task carry these ids while in the block, besides those that they carry already.

    Tasks and callbacks that begin in it do not, even if they run while it lasts: they may be of others.
    """
    mine = _Bound(_here(), bound() | {name: value for name, value in ids.items() if value})
    token = _bound.set(mine)
    try:
        yield
    finally:
        mine.is_open = False
        _bound.reset(token)


class IdLog(logging.LoggerAdapter[logging.Logger]):
    """A logger of one session or call: its lines carry its ids, and those bound where it was made."""

    def __init__(self, logger: logging.Logger, **ids: str) -> None:
        super().__init__(logger, bound() | ids)

    def at(self, name: str) -> IdLog:
        """The same for another module's lines."""
        made = IdLog(logging.getLogger(name))
        made.extra = self.extra
        return made

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """See :class:`logging.LoggerAdapter`."""
        kwargs["extra"] = {**kwargs.get("extra", {}), "ids": self.extra}
        return msg, kwargs


def _add_ids(record: logging.LogRecord) -> bool:
    """Where it is logged, for the handler may be elsewhere. A line has its logger's ids, or those bound."""
    if not hasattr(record, "ids"):
        record.ids = bound()
    return True


# ── Lines ────────────────────────────────────────────────────────────


class _JsonFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        if self._process:
            line["process"] = self._process
        ids = getattr(record, "ids", {})
        line |= {name: ids[name] for name in IDS if name in ids}
        line |= {name: value for name, value in getattr(record, "fields", {}).items() if value is not None}
        if record.exc_info:
            line["exception"] = _cut(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        name = f"{process} " if process else ""
        super().__init__(f"%(asctime)s %(levelname)s {name}%(name)s: %(of)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        session = getattr(record, "ids", {}).get("session_id")
        record.of = f"[{session}] " if session else ""
        return _cut(super().format(record))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LINE_CHARS else text[:MOST_LINE_CHARS] + " …"


def set_up(options: LogOptions) -> None:
    """Log so from now on. What waits to be written goes out before the process ends, if it can."""
    handler = LogWriter()
    handler.setFormatter(
        _JsonFormatter(options.process) if options.format == "json" else _TextFormatter(options.process)
    )
    handler.addFilter(_add_ids)
    logging.basicConfig(level=options.level.upper(), handlers=[handler], force=True)
    _writers[:] = [handler]
    # These tell the offers, candidates and packets of users, and addresses.
    for name in ("aiortc", "aioice", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def line_counts() -> Mapping[str, int]:
    """Lines of this process by what became of them: ``written`` or ``dropped``."""
    return {
        "written": sum(writer.written for writer in _writers),
        "dropped": sum(writer.dropped for writer in _writers),
    }
