"""Logging of every process: one handler on standard error, as text or as a JSON object a line."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass

__all__ = ["LogOptions", "set_up"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How to log."""

    format: str = "text"
    """``text`` or ``json``."""
    level: str = "warning"
    process: str = ""
    """Which of several processes this is, in every line; empty where there is one."""


class _JsonFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._process:
            line["process"] = self._process
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(options: LogOptions) -> None:
    """Log so from now on."""
    handler = logging.StreamHandler()
    process = f"{options.process} " if options.process else ""
    handler.setFormatter(
        _JsonFormatter(options.process)
        if options.format == "json"
        else logging.Formatter(f"%(asctime)s %(levelname)s {process}%(name)s: %(message)s")
    )
    logging.basicConfig(level=options.level.upper(), handlers=[handler], force=True)
    # These tell the offers, candidates and packets of users.
    for name in ("aiortc", "aioice"):
        logging.getLogger(name).setLevel(logging.WARNING)
