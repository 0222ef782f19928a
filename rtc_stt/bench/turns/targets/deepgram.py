"""Any server of Deepgram's live transcription (``/v1/listen``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rtc_stt.bench.turns.target import Hear, Line
from rtc_stt.bench.turns.targets.deepgram_messages import CLOSE_STREAM, KEEP_ALIVE, DeepgramReader, query
from rtc_stt.bench.turns.targets.foreign_socket import Opener, SocketLine, public_url
from rtc_stt.bench.turns.targets.pcm import pcm16

__all__ = ["DeepgramTarget"]


class DeepgramTarget:
    """See :class:`~rtc_stt.bench.turns.target.Target`.

    Args:
        url: such as ``wss://api.deepgram.com/v1/listen``; what stands in its query is sent too, but for what
            the benchmark asks for itself.
        key: goes into the header ``Authorization``, and nowhere else.
        hangover_ms: the silence that ends a turn (``endpointing``).
        model: None: the server's default.
        finals: what is a final: a whole turn, or each segment that does not change any more, for servers that
            do not tell where a turn ends.
    """

    name = "Deepgram"

    def __init__(
        self,
        *,
        url: str,
        key: str | None = None,
        hangover_ms: int = 500,
        model: str | None = None,
        finals: Literal["turn", "segment"] = "turn",
    ) -> None:
        self._url, self._hangover_ms, self._model, self._finals = url, hangover_ms, model, finals
        self._opener = Opener(url, {"Authorization": f"Token {key}"} if key else {}, key)

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        return {
            "kind": "deepgram",
            "url": public_url(self._url),
            "model": self._model or "the server's default",
            "hangover_ms": self._hangover_ms,
            "finals": f"by {self._finals}",
            "sound": "PCM at 16 kHz",
        }

    async def start(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        await self._opener.start()

    async def connect(self, hear: Hear, language: str | None) -> Line:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        ws = await self._opener.open(
            **query(hangover_ms=self._hangover_ms, model=self._model, language=language)
        )
        return SocketLine(
            ws,
            hear,
            DeepgramReader(by_segment=self._finals == "segment"),
            pcm16,
            key=self._opener.key,
            keep_alive=KEEP_ALIVE,
            goodbye=CLOSE_STREAM,
        )

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        await self._opener.close()
