"""Measurements of the live line, by a WebRTC client that speaks in real time: ``python -m tools.live_line``."""
