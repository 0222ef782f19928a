"""SIP: a user agent server that takes calls and hears them. Inbound only; it never sends media."""

from __future__ import annotations

__all__: list[str] = []
