"""Dialects: what clients of other protocols say and want to hear.

Each is a pure translation of our events and commands (:mod:`signaling.dialects.dialect`). What carries them
is ``dialect_socket`` and ``data_channel``.
"""

from __future__ import annotations

__all__: list[str] = []
