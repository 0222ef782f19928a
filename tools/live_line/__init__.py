"""The live line, measured by a WebRTC client that speaks in real time: ``python -m tools.live_line``."""
