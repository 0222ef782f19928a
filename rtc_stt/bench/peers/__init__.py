"""Recognisers of others, side by side with ours: scripts that run in Python environments of their own.

They stand in this folder and import nothing of rtc_stt: their environments do not have it.
"""

__all__: list[str] = []
