"""Asks which replicas there are, and remembers: ``GET /replicas`` of any of the places of ``ENGINE``.

While nobody answers, those that are known go on being used: what is decoded does not need the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

import aiohttp

from rtc_stt.errors import trace
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.replica import MAX_LIST_BYTES, BadList, Replica, read_list

__all__ = ["Remembered", "Roster"]

log = logging.getLogger(__name__)

EVERY_S = 1.0
"""Between two questions."""

TIMEOUT_S = 2.0
"""For an answer."""

LINGER_S = 10.0
"""A replica that is listed no more is used for so long, if it answers: the directory may have begun anew, and
does not know everyone yet."""

Listener = Callable[[list[Replica]], None]


class Remembered:
    """The replicas that are listed, and those that were a moment ago. Pure."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Replica, float]] = {}

    def take(self, listed: Sequence[Replica], now: float) -> list[Replica]:
        """A list has come. Gives who is to be used."""
        self._seen |= {replica.id: (replica, now) for replica in listed}
        self._seen = {id_: known for id_, known in self._seen.items() if now - known[1] <= LINGER_S}
        return [replica for replica, _ in self._seen.values()]


class Roster:
    """See above. Called on the event loop only; it asks while anybody listens.

    Args:
        places: ``HOST:PORT`` each.
        key: what is shown to them (``WORKERS_KEY``).
    """

    def __init__(self, places: Sequence[str], key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = list(places)
        self._key = key
        self._clock = clock
        self._remembered = Remembered()
        self._listeners: dict[Tier, Listener] = {}
        self._task: asyncio.Task[None] | None = None
        self.trouble: str | None = "was not asked yet"
        """Why there is no list, in words for the operator; None where there is one."""
        self.is_refused = False
        """Whether the key is the trouble."""

    @property
    def where(self) -> str:
        """Who is asked, for the operator."""
        return ", ".join(self._places)

    def join(self, tier: Tier, listener: Listener) -> None:
        """Tell each list of this tier's replicas to ``listener``, which may be the one before."""
        self._listeners[tier] = listener
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="replicas")

    async def leave(self, tier: Tier) -> None:
        """Not any more."""
        self._listeners.pop(tier, None)
        if not self._listeners and self._task:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            auto_decompress=False,  # a few bytes that unpack to gigabytes are not unpacked
            headers={"Accept-Encoding": "identity", "Authorization": f"Bearer {self._key}"},
        ) as http:
            while True:
                try:
                    await self._ask_one(http)
                except Exception as error:  # nobody else would ask again
                    log.error("the list of replicas could not be taken: %s", trace(error))
                await asyncio.sleep(EVERY_S)

    async def _ask_one(self, http: aiohttp.ClientSession) -> None:
        """The place that answered last; where it does not, another one is asked the next time."""
        place, trouble, listed = self._places[0], None, list[Replica]()
        try:
            listed = await self._fetch(http, place)
        except BadList as error:
            trouble = str(error)
        except TimeoutError:
            trouble = f"does not answer within {TIMEOUT_S:g} s"
        except (aiohttp.ClientError, ValueError):
            trouble = "cannot be reached"
        self._tell_trouble(f"{place} {trouble}" if trouble else None)
        if trouble:
            self._places = [*self._places[1:], place]
            return
        replicas = self._remembered.take(listed, self._clock())
        for tier, listener in list(self._listeners.items()):
            listener([replica for replica in replicas if replica.tier is tier])

    async def _fetch(self, http: aiohttp.ClientSession, place: str) -> list[Replica]:
        async with http.get(f"http://{place}/replicas", allow_redirects=False) as response:
            self.is_refused = response.status in (401, 403)
            if self.is_refused:
                raise BadList("does not take WORKERS_KEY")
            if response.status != 200:
                raise BadList(f"answers {response.status} when asked for its replicas")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_LIST_BYTES:
                    raise BadList("tells more replicas than there can be")
        return read_list(bytes(body))

    def _tell_trouble(self, trouble: str | None) -> None:
        if trouble and trouble != self.trouble:
            log.warning("which replicas there are is not known: %s", trouble)
        elif not trouble and self.trouble:
            log.info("which replicas there are is known")
        self.trouble = trouble
