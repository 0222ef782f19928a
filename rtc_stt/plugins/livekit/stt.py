"""The face to LiveKit Agents."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import NOT_GIVEN, APIConnectOptions, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NotGivenOr
from livekit.agents.utils import AudioBuffer, is_given

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.client import LocalSession, StreamClient, SttClient
from rtc_stt.events import SessionStarted
from rtc_stt.plugins.livekit.errors import translate
from rtc_stt.plugins.livekit.options import Conversation, Options, base_language, base_languages
from rtc_stt.plugins.livekit.recognition import of_recording, of_result
from rtc_stt.plugins.livekit.stream import Live, RecognizeStream
from rtc_stt.session import Speech

__all__ = ["STT"]

PATIENCE_S = 30.0
"""As long as the audio that a client keeps."""

_ENDPOINTING = ("min_silence_ms", "speculate_after_ms", "max_utterance_s")

RECOGNIZE_S = 60.0
"""For the whole answer to a recording."""


class STT(stt.STT[Any]):
    """Streaming speech-to-text by a server, ``STT("https://stt.example.org", key=KEY)``, or in this process.

    Args:
        url: of the server; ``RTC_STT_URL`` where it is not given.
        key: an API key; ``RTC_STT_KEY`` where it is not given.
        engine: instead of a server, what :func:`rtc_stt.loading.load_speech` gives: one for any number of
            instances and streams. It is not closed with this.
        language: such as ``en`` or ``en-US``; None or ``multi``: detected for each utterance.
        languages: among which is detected.
        prompt: what it is about, and how that is spelt; at most 1,000 characters.
        keyterms: words to expect.
        word_timestamps: whether finals have ``words``.
        min_silence_ms: the silence that ends an utterance; None: the server's.
        speculate_after_ms: the silence after which the preflight is made; None: the server's.
        max_utterance_s: after which a longer one is cut; None: the server's.
        chat_context: whether the framework's conversation goes into the prompt.
        patience_s: for how long a lost connection is tried before that is an error. None: as long as audio is
            kept, 30 s; for the streams of a ``FallbackAdapter`` its ``attempt_timeout``.

    Raises:
        ValueError: neither a server nor an engine is given, or both are.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        engine: Speech | None = None,
        language: str | None = None,
        languages: Sequence[str] | None = None,
        prompt: str | None = None,
        keyterms: Sequence[str] = (),
        word_timestamps: bool = True,
        min_silence_ms: int | None = None,
        speculate_after_ms: int | None = None,
        max_utterance_s: float | None = None,
        chat_context: bool = True,
        patience_s: float | None = None,
    ) -> None:
        capabilities = stt.STTCapabilities(
            streaming=True,
            interim_results=True,
            aligned_transcript="word" if word_timestamps else False,
            offline_recognize=True,
            keyterms=True,
            chat_context=chat_context,
        )
        capabilities.manual_flush = True  # from 1.8.9 on it is asked for; before, nobody looks
        super().__init__(capabilities=capabilities)
        if engine is None:
            url = url or os.environ.get("RTC_STT_URL")
        if (url is None) == (engine is None):
            raise ValueError("give the url of a server (or set RTC_STT_URL), or an engine; not both")
        self._url = url
        self._key = (key or os.environ.get("RTC_STT_KEY")) if url else None
        self._engine = engine
        self._patience_s = patience_s
        endpointing = zip(_ENDPOINTING, (min_silence_ms, speculate_after_ms, max_utterance_s), strict=True)
        self._options = Options(
            language=base_language(language),
            languages=base_languages(languages),
            prompt=prompt,
            keyterms=tuple(keyterms),
            word_timestamps=word_timestamps,
            endpointing={name: value for name, value in endpointing if value is not None},
        )
        self._conversation = Conversation()
        self._models = dict(engine.pool.models) if engine else {}
        self._streams = weakref.WeakSet[RecognizeStream]()

    @property
    def model(self) -> str:
        """The fast model and the accurate one; ``unknown`` before a server has told them."""
        return "+".join(name for name in self._models.values() if name) or "unknown"

    @property
    def provider(self) -> str:
        """Who recognises."""
        return "rtc-stt"

    # ── Streams ────────────────────────────────────────────────────────────

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> RecognizeStream:
        """A stream of its own session. ``language`` comes over that of this instance."""
        stream = RecognizeStream(
            stt=self,
            connect=lambda: self._connect(conn_options),
            options=self._for_stream(language),
            conn_options=conn_options,
            secret=self._key,
            on_session=self._note,
        )
        self._streams.add(stream)
        return stream

    def _for_stream(self, language: NotGivenOr[str]) -> Options:
        return (
            replace(self._options, language=base_language(language)) if is_given(language) else self._options
        )

    def _connect(self, conn_options: APIConnectOptions) -> Live:
        if self._engine:
            return LocalSession(self._engine, transport="livekit")
        # Who tries no more than once again has someone else to ask.
        is_replaceable = conn_options.max_retry <= 1
        patience_s = self._patience_s
        if patience_s is None:
            patience_s = conn_options.timeout if is_replaceable else PATIENCE_S
        assert self._url
        return StreamClient(self._url, key=self._key, patience_s=patience_s, first_patience_s=0.0)

    def _note(self, session: SessionStarted) -> None:
        self._models = dict(session.models)

    # ── Changes, without a new connection ────────────────────────────────────────────────────────────

    def update_options(
        self,
        *,
        language: NotGivenOr[str | None] = NOT_GIVEN,
        languages: NotGivenOr[Sequence[str] | None] = NOT_GIVEN,
        prompt: NotGivenOr[str | None] = NOT_GIVEN,
        keyterms: NotGivenOr[Sequence[str]] = NOT_GIVEN,
        min_silence_ms: NotGivenOr[int | None] = NOT_GIVEN,
        speculate_after_ms: NotGivenOr[int | None] = NOT_GIVEN,
        max_utterance_s: NotGivenOr[float | None] = NOT_GIVEN,
    ) -> None:
        """Change what is given, from here on and for all streams; None is the server's default."""
        changes: dict[str, Any] = {}
        if is_given(language):
            changes["language"] = base_language(language)
        if is_given(languages):
            changes["languages"] = base_languages(languages)
        if is_given(prompt):
            changes["prompt"] = prompt
        if is_given(keyterms):
            changes["keyterms"] = tuple(keyterms)
        told = zip(_ENDPOINTING, (min_silence_ms, speculate_after_ms, max_utterance_s), strict=True)
        if endpointing := {name: value for name, value in told if is_given(value)}:
            changes["endpointing"] = {**self._options.endpointing, **endpointing}
        self._change(**changes)

    def _change(self, **changes: Any) -> None:
        """Of this instance and its streams; each stream keeps what it was given for itself."""
        self._options = replace(self._options, **changes)
        for stream in self._streams:
            stream.update(replace(stream.options, **changes))

    def _update_session_keyterms(self, keyterms: list[str]) -> None:
        if tuple(keyterms) != self._options.session_keyterms:
            self._change(session_keyterms=tuple(keyterms))

    def _push_conversation_item(self, ev: Any) -> None:
        """Called by the framework where ``chat_context`` is on: what was said comes before what will be."""
        text = getattr(ev.item, "text_content", None)
        if self._capabilities.chat_context and isinstance(text, str):
            self._change(context=self._conversation.add(text))

    # ── Recordings ────────────────────────────────────────────────────────────

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        options = self._for_stream(language)
        samples = _samples(buffer)
        try:
            if self._engine:
                return await of_recording(self._engine, samples, options)
            assert self._url
            async with SttClient(
                self._url,
                key=self._key,
                timeout_s=RECOGNIZE_S,
                connect_timeout_s=max(0.1, conn_options.timeout),
                attempts=1,  # the framework tries again
            ) as client:
                result = await client.transcribe(
                    samples,
                    language=options.language,
                    prompt=options.whole_prompt,
                    hotwords=options.hotwords,
                    word_timestamps=options.word_timestamps,
                )
            return of_result(result, options.language)
        except Exception as error:
            raise translate(error, self._key) from None

    async def aclose(self) -> None:
        """Close all streams. An engine that was given stays."""
        for stream in list(self._streams):
            await stream.aclose()
        await super().aclose()


def _samples(buffer: AudioBuffer) -> Samples:
    """A buffer as 16 kHz mono, shape ``(n,)``."""
    frame = rtc.combine_audio_frames(buffer)
    frames = [frame]
    if frame.sample_rate != SAMPLE_RATE:
        resampler = rtc.AudioResampler(
            frame.sample_rate,
            SAMPLE_RATE,
            num_channels=frame.num_channels,
            quality=rtc.AudioResamplerQuality.HIGH,
        )
        frames = [*resampler.push(frame), *resampler.flush()]
    pcm = np.concatenate([np.frombuffer(bytes(f.data), np.int16) for f in frames] or [np.empty(0, np.int16)])
    samples: Samples = pcm.reshape(-1, frame.num_channels).mean(axis=1, dtype=np.float32) / np.float32(32768)
    return samples
