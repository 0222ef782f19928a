"""A voice agent built with LiveKit Agents, on our speech-to-text: it hears a WAV file and prints the turns.

The LLM and the voice are played by a few lines here, and no room is joined, so nothing else is needed: no
cloud, no key. In your own agent only the line with ``STT(`` is of interest.

With ``rtc-stt demo`` running:
``python examples/livekit_agent.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import sys
import wave
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession, llm, tts
from livekit.agents.voice import io

from rtc_stt.plugins.livekit import STT


class ScriptedLLM(llm.LLM):
    """Says back what it was asked."""

    def chat(self, *, chat_ctx: llm.ChatContext, conn_options: Any = None, **_: Any) -> llm.LLMStream:
        return ScriptedAnswer(self, chat_ctx=chat_ctx, tools=[], conn_options=conn_options)


class ScriptedAnswer(llm.LLMStream):
    async def _run(self) -> None:
        asked = [m.text_content for m in self._chat_ctx.items if m.type == "message" and m.role == "user"]
        delta = llm.ChoiceDelta(role="assistant", content=f"You said: {asked[-1]}")
        self._event_ch.send_nowait(llm.ChatChunk(id="answer", delta=delta))


class SilentVoice(tts.TTS):
    """A tenth of a second of nothing for each sentence."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=16_000, num_channels=1
        )

    def synthesize(self, text: str, *, conn_options: Any = None) -> tts.ChunkedStream:
        return Silence(tts=self, input_text=text, conn_options=conn_options)


class Silence(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="silence", sample_rate=16_000, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(bytes(3_200))
        output_emitter.flush()


class Recording(io.AudioInput):
    """A microphone: the file as fast as it was spoken, then silence."""

    def __init__(self, path: str) -> None:
        super().__init__(label="recording")
        with wave.open(path) as file:  # 16 bit, mono
            self._rate, self._audio = file.getframerate(), file.readframes(file.getnframes())
        self._at, self._began = 0, 0.0

    async def __anext__(self) -> rtc.AudioFrame:
        now = asyncio.get_running_loop().time()
        size = self._rate // 100
        self._began = self._began or now
        await asyncio.sleep(max(0.0, self._began + self._at / 100 - now))
        pcm = self._audio[self._at * size * 2 : (self._at + 1) * size * 2].ljust(size * 2, b"\0")
        self._at += 1
        return rtc.AudioFrame(pcm, self._rate, 1, size)


class Loudspeaker(io.AudioOutput):
    """Plays everything at once, for nobody."""

    def __init__(self) -> None:
        super().__init__(label="loudspeaker", capabilities=io.AudioOutputCapabilities(pause=False))
        self._seconds = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._seconds += frame.duration

    def flush(self) -> None:
        super().flush()
        played, self._seconds = self._seconds, 0.0
        if played:
            self.on_playback_finished(playback_position=played, interrupted=False)

    def clear_buffer(self) -> None:
        self._seconds = 0.0


async def main(url: str, path: str) -> None:
    session: AgentSession[None] = AgentSession(
        stt=STT(url, language="en"),  # RTC_STT_KEY in the environment, where the server wants a key
        llm=ScriptedLLM(),
        tts=SilentVoice(),
        # The server's endpointing decides when the user is done, and has waited already.
        turn_handling={"turn_detection": "stt", "endpointing": {"min_delay": 0.0}},
    )
    answered = asyncio.Event()

    @session.on("user_input_transcribed")
    def heard(event: Any) -> None:
        if not event.is_final:
            print("  ", event.transcript)

    @session.on("conversation_item_added")
    def said(event: Any) -> None:
        if event.item.type == "message":
            print(f"{event.item.role}: {event.item.text_content}")
            if event.item.role == "assistant":
                answered.set()

    session.input.audio = Recording(path)
    session.output.audio = Loudspeaker()
    await session.start(Agent(instructions="Take orders."))
    await asyncio.wait_for(answered.wait(), 60)
    await session.aclose()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
