"""Asterisk's own ways to send the audio of a channel: AudioSocket over TCP."""

from __future__ import annotations

__all__: list[str] = []
