"""Phone calls: SIP, media streams over WebSockets, Asterisk's AudioSocket; one :class:`~.call.Call` for
all."""

from __future__ import annotations

__all__: list[str] = []
