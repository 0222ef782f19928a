"""SIP: a user agent server that takes calls and hears them. Inbound only; of media it
sends nothing but a little silence."""

from __future__ import annotations

__all__: list[str] = []
