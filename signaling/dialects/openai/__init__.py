"""OpenAI's words: Realtime transcription sessions, and ``POST /v1/audio/transcriptions``. Pure.

Written from the reference of the API (https://developers.openai.com/api/reference) and the types of the
official SDK. What is taken and what is refused, docs/guides/openai.md tells.
"""

from __future__ import annotations

__all__: list[str] = []
