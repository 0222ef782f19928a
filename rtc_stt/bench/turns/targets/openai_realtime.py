"""Any server of OpenAI's Realtime API, in a transcription session over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from rtc_stt.bench.turns.target import Hear, Line
from rtc_stt.bench.turns.targets.foreign_socket import Opener, SocketLine, hang_up, public_url
from rtc_stt.bench.turns.targets.openai_messages import (
    RATE,
    Form,
    OpenAIReader,
    append,
    is_updated,
    session_message,
)
from rtc_stt.bench.turns.targets.pcm import Upsampler
from rtc_stt.bench.turns.targets.reading import Unreadable, scrub
from rtc_stt.errors import TargetFailed

__all__ = ["OpenAIRealtimeTarget"]

SESSION_TIMEOUT_S = 10.0
"""Until the server has said that the session is as it was asked for."""

MAX_BEFORE = 100
"""Messages until then."""


class OpenAIRealtimeTarget:
    """See :class:`~rtc_stt.bench.turns.target.Target`.

    Args:
        url: such as ``wss://api.openai.com/v1/realtime``; what stands in its query is sent too.
        key: goes into the header ``Authorization``, and nowhere else.
        hangover_ms: the silence that ends a turn (``silence_duration_ms``).
        form: of the session message: ``ga``, or ``beta`` for servers that know the older one.
    """

    name = "OpenAI Realtime"

    def __init__(
        self,
        *,
        url: str,
        key: str | None = None,
        hangover_ms: int = 500,
        model: str = "gpt-4o-transcribe",
        form: Form = "ga",
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if form == "beta":
            headers["OpenAI-Beta"] = "realtime=v1"
        self._url, self._hangover_ms, self._model, self._form = url, hangover_ms, model, form
        self._opener = Opener(url, headers, key)

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        return {
            "kind": "openai-realtime",
            "url": public_url(self._url),
            "form": self._form,
            "model": self._model,
            "hangover_ms": self._hangover_ms,
            "turn_detection": "server_vad",
            "sound": f"PCM at {RATE // 1000} kHz as base64",
        }

    async def start(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        await self._opener.start()

    async def connect(self, hear: Hear, language: str | None) -> Line:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        ws = await self._opener.open(intent="transcription")
        wanted = session_message(
            self._form, model=self._model, hangover_ms=self._hangover_ms, language=language
        )
        try:
            async with asyncio.timeout(SESSION_TIMEOUT_S):
                await _agree(ws, wanted)
        except (Unreadable, TimeoutError, OSError, aiohttp.ClientError) as error:
            await hang_up(ws)
            words = str(error) if isinstance(error, Unreadable) else "the session was not confirmed"
            hint = "look at the key and the model, or try the other form of the session message (ga, beta)"
            raise TargetFailed(scrub(f"{self.name}: {words}; {hint}", self._opener.key)) from None
        up = Upsampler(RATE)
        return SocketLine(
            ws, hear, OpenAIReader(), lambda frame: append(up.push(frame)), key=self._opener.key
        )

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        await self._opener.close()


async def _agree(ws: aiohttp.ClientWebSocketResponse, wanted: str) -> None:
    """Say what the session shall be, and wait until it is.

    Raises:
        Unreadable: it will not be.
    """
    await ws.send_str(wanted)
    for _ in range(MAX_BEFORE):
        message = await ws.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise Unreadable("the connection ended before the session began")
        if is_updated(message.data):
            return
    raise Unreadable("the session was not confirmed")
