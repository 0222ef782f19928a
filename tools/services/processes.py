"""A primary and its fallback, on this machine, for the length of a measurement."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.ingest.cycles import Watched

__all__ = ["KEY", "UNLIMITED", "Pair", "pair", "primary"]

KEY = "a-key-of-measurements-only"
UNLIMITED = {"RATE_LIMIT_RPS": "10000", "RATE_LIMIT_BURST": "10000"}
"""Else what is measured is the limit on what one key may ask."""


@dataclass(frozen=True)
class Pair:
    """Both run, with the demo models; every request needs :data:`KEY`."""

    primary: Watched
    fallback: Watched

    def stop(self) -> bool:
        """End both as an operator does. Whether both ended with 0 and had said nothing alarming."""
        codes = [service.stop() for service in (self.primary, self.fallback)]
        return codes == [0, 0] and self.primary.is_calm and self.fallback.is_calm


@contextlib.contextmanager
def pair(**environment: str) -> Iterator[Pair]:
    """A primary that asks a fallback service."""
    common = UNLIMITED | {"API_KEYS": KEY} | environment
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        fallback = Watched(Path(folder), "fallback", "--demo", "--port", "0", **common)
        stack.callback(fallback.stop)
        behind = {"FALLBACK_URL": fallback.url(), "FALLBACK_API_KEY": KEY}
        primary = Watched(Path(folder), "primary", "--demo", "--port", "0", **common, **behind)
        stack.callback(primary.stop)
        primary.url()
        yield Pair(primary, fallback)


@contextlib.contextmanager
def primary(**environment: str) -> Iterator[Watched]:
    """A primary alone, which doubts nothing."""
    common = UNLIMITED | {"API_KEYS": KEY, "CONF_LOGPROB_THRESHOLD": "0", "MIN_WORDS_FOR_CONF": "0"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        service = Watched(Path(folder), "primary", "--demo", "--port", "0", **(common | environment))
        stack.callback(service.stop)
        service.url()
        yield service
