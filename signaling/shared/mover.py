"""What becomes of a client that resumes a session which is not here.

::

    the token names no session, or not this one's ──────────────▶ gone
    its gateway lives ───────────────────────────────────────────▶ the request is handed on to it
    its gateway is dead, or does not answer ──claimed by us──────▶ the session goes on here
                                            └─by another one─────▶ once more from the beginning
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rtc_stt.errors import Unavailable
from rtc_stt.handover import Handover
from rtc_stt.instrument import Instrument
from signaling.calls import Caller, Resume
from signaling.door import Door
from signaling.resources import Resources
from signaling.shared.link import Away
from signaling.shared.nodes import Node, Nodes
from signaling.shared.record import hand_over, is_of, node_of, session_of
from signaling.shared.records import Found, Records
from signaling.shared.relay import Relay

__all__ = ["Adopt", "Mover"]

log = logging.getLogger(__name__)

MAX_TRIES = 3
"""Each time that another gateway was faster."""

Adopt = Callable[[str, Handover], Awaitable[None]]
"""Lets a session, by its resume token, go on here. Raises :class:`~rtc_stt.errors.Unavailable`."""


class Mover:
    """See above."""

    def __init__(
        self,
        records: Records,
        nodes: Nodes,
        relay: Relay,
        door: Door,
        resources: Resources,
        instrument: Instrument,
    ) -> None:
        self.records = records
        self.relay = relay
        self._nodes = nodes
        self._door = door
        self._resources = resources
        self._instrument = instrument

    def at(self, name: str) -> Node | None:
        """The other gateway that the id of a connection names, if it lives and can be reached."""
        node = self._nodes.find(node_of(name) or "")
        is_other = node is not None and node.life != self._nodes.life
        return node if node and is_other and node.url else None

    async def bring(
        self,
        resume: Resume,
        address: str,
        adopt: Adopt,
        *,
        may_forward: bool,
        replays: bool = False,
        position: int | None = None,
    ) -> Node | None:
        """Have a session here that is to be resumed, if that can be.

        Args:
            address: of the client.
            may_forward: False where the request came by another gateway.
            replays: the client says again what is in no final: from ``position`` on, or from where it was
                when its gateway last wrote that down.
            position: see :func:`~signaling.shared.record.hand_over`.

        Returns:
            The gateway that has it; None where it is here, or nowhere.

        Raises:
            Unavailable: not now.
        """
        session_id = session_of(resume.token)
        if session_id is None or session_id in self.records:
            return None
        try:
            for _ in range(MAX_TRIES):
                found = await self.records.find(session_id)
                if found is None or not is_of(found.record, resume.token):
                    return None
                if found.record.life == self._nodes.life:  # it has just ended
                    return None
                if owner := await self._owner(found):
                    return self._forward(owner) if may_forward else None
                if await self.records.claim(found.record):
                    if replays and position is None:
                        position = found.record.settled
                    await self._take(found, resume, address, adopt, position)
                    return None
                self._instrument.session_moved("too_late")
        except Away:
            log.warning("a session of another gateway cannot be resumed: Redis is away")
            return None
        raise Unavailable("the session is being taken over; try again in a moment")

    async def _owner(self, found: Found) -> Node | None:
        """Its gateway, where that lives."""
        node = self._nodes.find(found.record.node)
        if node is None or node.life != found.record.life:
            return None
        if not node.url:
            raise Unavailable("the session is on another gateway; try again in a moment")
        return node if await self.relay.lives(node) else None

    def _forward(self, node: Node) -> Node:
        self._instrument.session_moved("forwarded")
        return node

    async def _take(
        self, found: Found, resume: Resume, address: str, adopt: Adopt, position: int | None
    ) -> None:
        record = found.record
        handover = hand_over(record, found.events, resume.last_seq, found.age_ms, position)
        caller = Caller(record.key_id, address)
        try:
            self._door.adopt(caller, record.session_id, asyncio.get_running_loop().time())
            self.records.adopt(record, handover)
            self._resources.inherit(record.session_id, record.key_id, bytes.fromhex(record.nonce) or None)
            await adopt(resume.token, handover)
        except BaseException:
            self._door.leave(record.session_id)
            await self.records.give_back(record)
            raise
        self._instrument.session_moved("taken")
        log.info("a session of %s goes on here", record.node)
