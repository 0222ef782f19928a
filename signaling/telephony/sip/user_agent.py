"""The SIP user agent server, sans-IO: messages and the time in, effects out."""

from __future__ import annotations

from collections.abc import Callable

from signaling.telephony.settings import Sip
from signaling.telephony.sip.vocabulary import Effect, Flow

__all__ = ["UserAgent"]


class UserAgent:
    """See above. No method raises on what the other side sends; ``now`` is monotonic, in seconds.

    Args:
        secret: of this process, for nonces and tags; at least 16 bytes.
        entropy: gives so many random bytes: ``os.urandom``.
        address: what stands in Contact and Via: an IP address that others reach us at.
        port: likewise.

    Raises:
        ConfigError: ``SIP_ALLOW`` or ``SIP_USERS`` cannot be read.
    """

    def __init__(
        self, settings: Sip, secret: bytes, entropy: Callable[[int], bytes], *, address: str, port: int
    ) -> None: ...

    @property
    def is_idle(self) -> bool:
        """Whether no request of ours waits for its answer: after ``hang_up`` of all, a server may go."""
        raise NotImplementedError

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A datagram, or bytes that came over a TCP connection, cut anyhow."""
        raise NotImplementedError

    def handle_timer(self, now: float) -> list[Effect]:
        """What is due by ``now``."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do; None: not as things stand."""
        raise NotImplementedError

    def accept(
        self, dialog: str, sdp: bytes, now: float, content_type: str = "application/sdp"
    ) -> list[Effect]:
        """Answer an ``Invited`` or a ``Reoffered`` by 200; nothing where it waits no more."""
        raise NotImplementedError

    def reject(
        self, dialog: str, code: int, phrase: str, now: float, retry_after: int | None = None
    ) -> list[Effect]:
        """Refuse one; a call that stood before goes on as it was."""
        raise NotImplementedError

    def hang_up(self, dialog: str, reason: str, now: float) -> list[Effect]:
        """End a call from our side: BYE. ``Ended(reason)`` follows at once."""
        raise NotImplementedError

    def connection_lost(self, flow: Flow, now: float) -> list[Effect]:
        """A TCP connection has gone. Calls that stand go on: their media may, and another may come."""
        raise NotImplementedError
