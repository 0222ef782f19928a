"""The plugins with the lowest versions of their frameworks: an environment over this one, and tests in it."""

from __future__ import annotations

__all__: list[str] = []
