"""The same for programs without an event loop: scripts, notebooks, threads."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Literal, Self, TypeVar

from rtc_stt.client.caller import Caller, OnRequest
from rtc_stt.client.recording import Audio
from rtc_stt.client.result import Result
from rtc_stt.client.stt_client import SttClient
from rtc_stt.client.stt_pool import ServerState, SttPool
from rtc_stt.percentiles import Percentiles

__all__ = ["SttClientSync", "SttPoolSync"]

NAME = "rtc-stt-client"
"""Of its threads."""

T = TypeVar("T")
C = TypeVar("C", bound=Caller)


class _Sync(Generic[C]):
    """A client on an event loop in a thread of its own. Its methods may be called from any other thread."""

    def __init__(self, client: C) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._executor = ThreadPoolExecutor(thread_name_prefix=NAME)
        self._loop.set_default_executor(self._executor)
        # A daemon, which is closed at exit: a script that forgets to close, or dies, ends all the same.
        self._thread = threading.Thread(target=self._loop.run_forever, name=NAME, daemon=True)
        self._thread.start()
        atexit.register(self.close)
        self._lock = threading.Lock()
        self._is_closed = False
        self._run(self._client.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads and the connections. Calls under way in other threads fail. May be called again.

        Raises:
            RuntimeError: this is its own thread (``on_request``), which would wait for itself.
        """
        self._check_thread()
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        atexit.unregister(self.close)
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._executor.shutdown()
        self._loop.close()

    async def _shut(self) -> None:
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await self._client.close()

    def _check_thread(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("on_request runs where the calls are made: it cannot wait for one")

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for a call.

        Raises:
            RuntimeError: it is closed, before or meanwhile; or this is its own thread.
        """
        try:
            self._check_thread()
            with self._lock:
                if self._is_closed:
                    raise RuntimeError("the client is closed")
                future = asyncio.run_coroutine_threadsafe(call, self._loop)
        except RuntimeError:
            call.close()
            raise
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeError("the client was closed") from None
        except KeyboardInterrupt:  # nobody waits for the answer any more
            future.cancel()
            raise

    def transcribe(
        self,
        audio: Audio,
        *,
        language: str | None = None,
        prompt: str | None = None,
        hotwords: str | None = None,
        word_timestamps: bool = False,
        cut: bool = True,
        on_fallback_failure: Literal["error", "degrade"] = "error",
    ) -> Result:
        """As :meth:`rtc_stt.client.SttClient.transcribe`; blocks."""
        return self._run(
            self._client.transcribe(
                audio,
                language=language,
                prompt=prompt,
                hotwords=hotwords,
                word_timestamps=word_timestamps,
                cut=cut,
                on_fallback_failure=on_fallback_failure,
            )
        )

    def health(self) -> bool:
        """As of the client without ``Sync``; so are those that follow."""
        return self._run(self._client.health())

    def ready(self) -> bool:
        """Whether requests are taken."""
        return self._run(self._client.ready())

    @property
    def latency(self) -> Percentiles:
        """Of the newest transcriptions, in ms."""

        async def summary() -> Percentiles:
            return self._client.latency

        return self._run(summary())


class SttClientSync(_Sync[SttClient]):
    """``with SttClientSync(url, key=…) as client: print(client.transcribe("call.wav").text)``

    Arguments, results and errors are those of :class:`~rtc_stt.client.SttClient`; ``on_request`` is called in
    a thread of the client.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        connect_timeout_s: float = 5.0,
        attempts: int = 4,
        patience_s: float = 600.0,
        on_request: OnRequest | None = None,
    ) -> None:
        super().__init__(
            SttClient(
                url,
                key=key,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
                attempts=attempts,
                patience_s=patience_s,
                on_request=on_request,
            )
        )

    def metrics(self) -> dict[str, Any]:
        """The server's figures."""
        return self._run(self._client.metrics())

    def usage(self) -> dict[str, Any]:
        """What the key has used."""
        return self._run(self._client.usage())


class SttPoolSync(_Sync[SttPool]):
    """``with SttPoolSync([url, …], key=…) as pool: print(pool.transcribe("call.wav").text)``

    As of :class:`~rtc_stt.client.SttPool`; several threads make use of several servers.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        connect_timeout_s: float = 5.0,
        attempts: int | None = None,
        patience_s: float = 600.0,
        on_request: OnRequest | None = None,
    ) -> None:
        super().__init__(
            SttPool(
                urls,
                key=key,
                timeout_s=timeout_s,
                connect_timeout_s=connect_timeout_s,
                attempts=attempts,
                patience_s=patience_s,
                on_request=on_request,
            )
        )

    @property
    def servers(self) -> list[ServerState]:
        """Who is asked now."""

        async def servers() -> list[ServerState]:
            return self._client.servers

        return self._run(servers())

    def metrics(self) -> dict[str, dict[str, Any]]:
        """The figures of each server by its URL; who does not tell them is left out."""
        return self._run(self._client.metrics())

    def usage(self) -> dict[str, dict[str, Any]]:
        """What the key has used at each server; likewise."""
        return self._run(self._client.usage())
