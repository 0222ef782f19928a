"""The dialect of Deepgram's ``/v1/listen``: live over a WebSocket, and recordings over HTTP. Pure.

Written from https://developers.deepgram.com/reference/speech-to-text/listen-streaming and the guides beside
it (endpointing, interim results, utterance end, finalize, closing the stream). What is taken and what is
refused is in ``docs/guides/deepgram.md``.
"""

from __future__ import annotations

__all__: list[str] = []
