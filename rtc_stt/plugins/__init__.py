"""This engine in the frameworks that voice agents are built with. Each needs its extra of the package."""

from __future__ import annotations

__all__: list[str] = []
