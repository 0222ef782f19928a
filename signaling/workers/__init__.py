"""Media workers: processes that carry the media, while one holds the door and the models."""

from __future__ import annotations

__all__: list[str] = []
