"""Media streams: phone calls that carriers and PBXs send over WebSockets, each in its own words."""

from __future__ import annotations

__all__: list[str] = []
