"""Plugins for frameworks of voice agents; each needs its extra."""

from __future__ import annotations

__all__: list[str] = []
