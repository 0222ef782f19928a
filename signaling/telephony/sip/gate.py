"""Who may ask something of us: rates, the allow-list, the digest. Pure.

| address    | request                                   | what happens                                      |
| ---------- | ----------------------------------------- | ------------------------------------------------- |
| listed     | any                                       | is done                                           |
| not listed | any, and there are no passwords           | is not even read: ``unlisted``                    |
| not listed | in a dialog that this address has begun   | is done: it knows our tag                         |
| not listed | with the right password                   | is done                                           |
| not listed | ACK, CANCEL                               | done if there is what they are about; §22.1       |
| not listed | any other                                 | 401, of which nothing is remembered               |

A challenge over UDP goes to an address that may be forged, so it is never longer than the request: first
what is not needed is left out, then there is none (``amplification``). A nonce that comes back proves that
its address was reached.
"""

from __future__ import annotations

from collections.abc import Callable

from signaling.telephony.settings import Sip
from signaling.telephony.sip.allow_list import AllowList
from signaling.telephony.sip.desk import Desk
from signaling.telephony.sip.digest import Digest, Outcome, read_users
from signaling.telephony.sip.message import Request
from signaling.telephony.sip.rates import Rates
from signaling.telephony.sip.replies import where_to
from signaling.telephony.sip.vocabulary import Flow

__all__ = ["Gate"]

LISTED_RATE, LISTED_BURST, LISTED_TOTAL = 1_000.0, 2_000.0, 4_000.0
"""Messages a second. A call has about ten, so a hundred calls that begin every second of one network."""

STRANGER_RATE, STRANGER_BURST, STRANGER_TOTAL = 50.0, 100.0, 1_000.0
"""Of addresses that are not listed: five calls a second, and a flood takes a tenth of a core."""


MAX_CREDENTIALS = 2
"""Of one request: each is a guess at a password. A client has them for one realm, or for two."""


class Gate:
    """See above.

    Raises:
        ConfigError: ``SIP_ALLOW`` or ``SIP_USERS`` cannot be read.
    """

    def __init__(self, desk: Desk, settings: Sip, secret: bytes, entropy: Callable[[int], bytes]) -> None:
        self._desk = desk
        self._allowed = AllowList(settings.sip_allow)
        self._digest = Digest(read_users(settings.sip_users), settings.sip_realm, secret, entropy)
        self._listed = Rates(LISTED_RATE, LISTED_BURST, LISTED_TOTAL)
        self._strangers = Rates(STRANGER_RATE, STRANGER_BURST, STRANGER_TOTAL)

    def is_listed(self, flow: Flow) -> bool:
        """Whether its address needs no password."""
        return self._allowed.has(flow.address)

    def is_deaf_to(self, flow: Flow) -> bool:
        """Whether nothing of this address is even read."""
        return not self._digest and not self.is_listed(flow)

    def has_time_for(self, flow: Flow, now: float) -> bool:
        """Whether one more message of this address is looked at."""
        rates = self._listed if self.is_listed(flow) else self._strangers
        return rates.take(flow.address, now)

    def admit(self, request: Request, flow: Flow, now: float) -> str | None:
        """Who an address that is not listed is, by digest; None where that has been asked now."""
        outcome, user = Outcome.WRONG, ""
        for header in request.headers.getlist("Authorization")[:MAX_CREDENTIALS]:
            outcome, user = self._digest.check(header, request.method, flow.address, now)
            if outcome is Outcome.RIGHT:
                return user
        if request.first("Authorization"):
            self._desk.count("auth")
        self._challenge(request, flow, now, stale=outcome is Outcome.STALE)
        return None

    def _challenge(self, request: Request, flow: Flow, now: float, *, stale: bool) -> None:
        offered = [
            ("WWW-Authenticate", value) for value in self._digest.challenges(flow.address, now, stale=stale)
        ]
        # Where there is room for one, it is MD5: everybody has that.
        for extra, compact in ((offered, False), (offered[-1:], False), (offered[-1:], True)):
            data = self._desk.stateless(request, flow, 401, "Unauthorized", extra, compact=compact)
            if flow.transport != "udp" or len(data) <= request.size:
                self._desk.send(where_to(request, flow), data)
                return
        self._desk.count("amplification")
