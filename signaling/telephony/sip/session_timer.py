"""Signs of life of a dialog (RFC 4028), as the side that was called. Pure.

| they know timers | they say             | seconds                        | refresher | the 200 says      |
| ---------------- | -------------------- | ------------------------------ | --------- | ----------------- |
| yes              | less than 90 s       | 422, ``Min-SE: 90``            | –         | –                 |
| yes              | a time, and who      | the smaller of theirs and ours | theirs    | both; ``Require`` |
| yes              | a time, or nothing   | likewise                       | uac       | both; ``Require`` |
| no               | (a proxy may do so)  | likewise                       | uas       | both              |

(§9, table 2.) Never less than their ``Min-SE``. Who refreshes does so at half of it (§10). Where they do and
nothing comes, we end the call ``min(32, a third)`` seconds before it has passed.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.fields import option_tags, read_seconds
from signaling.telephony.sip.message import Malformed, Request

__all__ = ["MIN_SE", "SessionTimer", "negotiate"]

MIN_SE = 90
"""Seconds: the least that there may be (RFC 4028 §5)."""


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """What was agreed."""

    seconds: int
    we_refresh: bool
    they_know: bool
    """They support timers. If not, an answer to a refresh is a sign of life, whatever it says."""

    @property
    def refresh_s(self) -> float:
        """After so long we refresh, if it is ours to do so."""
        return self.seconds / 2

    @property
    def expire_s(self) -> float:
        """After so long without a refresh the call is over."""
        return self.seconds - min(32.0, self.seconds / 3)

    def headers(self) -> list[tuple[str, str]]:
        """What the 200 says of it."""
        refresher = "uas" if self.we_refresh else "uac"
        found = [("Session-Expires", f"{self.seconds};refresher={refresher}")]
        return found if self.we_refresh and not self.they_know else [("Require", "timer"), *found]


def negotiate(request: Request, ours: int) -> SessionTimer:
    """What an INVITE or UPDATE of theirs comes to.

    Args:
        ours: the most seconds between two signs of life.

    Raises:
        Malformed: 422, they want less than may be.
        BadRequest: it cannot be read.
    """
    knows = "timer" in option_tags(request.joined("Supported")) | option_tags(request.joined("Require"))
    asked, refresher = ours, ""
    if text := request.first("Session-Expires"):
        asked, parameters = read_seconds(text)
        refresher = parameters.get("refresher", "").lower()
        if asked < MIN_SE and knows:
            raise Malformed("Session Interval Too Small", status=422)
    least = MIN_SE
    if text := request.first("Min-SE"):
        least = max(least, read_seconds(text)[0])
    seconds = max(min(asked, ours), least)
    if seconds > 2**31:
        raise BadRequest("Min-SE is too high")
    return SessionTimer(seconds, we_refresh=not knows or refresher == "uas", they_know=knows)
