"""Asterisk's own ways to send the audio of a channel: AudioSocket over TCP."""
