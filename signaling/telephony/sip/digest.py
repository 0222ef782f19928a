"""Digest authentication of SIP (RFC 7616, RFC 8760): ``MD5`` and ``SHA-256``, ``qop=auth``. Pure.

Nonces are stateless: a time and random bytes, sealed with HMAC over the address that they were given to. So
who is only challenged takes no memory, and a nonce proves that its address was reached. What is remembered
is the highest ``nc`` of each nonce that was used with the right password, for as long as it is good.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from rtc_stt.errors import BadRequest, ConfigError
from signaling.telephony.sip.fields import Credentials, read_credentials

__all__ = ["ALGORITHMS", "Digest", "Outcome", "read_users"]

ALGORITHMS: Mapping[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}
"""In the order in which they are offered (RFC 8760 §2.4)."""

NONCE_S = 60.0
"""A nonce is good for so long; after that the client is told ``stale=true`` and computes anew."""

MAX_USED = 8192
"""Nonces whose counts are remembered: one for each call, at more than a hundred calls a second."""

SEAL, SALT = 16, 8


class Outcome(Enum):
    """What credentials come to."""

    RIGHT = "right"
    WRONG = "wrong"
    STALE = "stale"
    """The password was right, but the nonce is old or was used."""


def read_users(texts: Sequence[str]) -> dict[str, str]:
    """Passwords by name.

    Raises:
        ConfigError: one has no name or no password. It is not quoted, being a secret.
    """
    users: dict[str, str] = {}
    for text in texts:
        name, colon, password = text.partition(":")
        if not name or not colon or not password:
            raise ConfigError("SIP_USERS: each is name:password, with commas between them")
        users[name] = password
    return users


class Digest:
    """Challenges, and whether they were met.

    Args:
        users: passwords by name.
        secret: seals nonces; at least 16 bytes, of this process.
        entropy: gives so many random bytes.
    """

    def __init__(
        self, users: Mapping[str, str], realm: str, secret: bytes, entropy: Callable[[int], bytes]
    ) -> None:
        self._users = dict(users)
        self._realm = realm.replace("\\", "").replace('"', "")
        self._secret = secret
        self._entropy = entropy
        self._used: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._nobody = entropy(16).hex()

    def __bool__(self) -> bool:
        """Whether there is anybody who could know a password."""
        return bool(self._users)

    def __len__(self) -> int:
        return len(self._used)

    def challenges(self, address: str, now: float, *, stale: bool = False) -> list[str]:
        """Values of ``WWW-Authenticate``, the strongest first."""
        nonce = self._make_nonce(address, now)
        flag = ", stale=true" if stale else ""
        return [
            f'Digest realm="{self._realm}", nonce="{nonce}", qop="auth", algorithm={name}{flag}'
            for name in ALGORITHMS
        ]

    def check(self, header: str, method: str, address: str, now: float) -> tuple[Outcome, str]:
        """Whether an ``Authorization`` is right, and of whom.

        The ``uri`` in it may differ from that of the request: proxies write it anew (RFC 3261 §22.4).
        """
        try:
            shown = read_credentials(header)
        except BadRequest:
            return Outcome.WRONG, ""
        fields = shown.parameters
        algorithm = ALGORITHMS.get(fields.get("algorithm", "MD5").upper())
        count = fields.get("nc", "")
        if (
            shown.scheme != "digest"
            or algorithm is None
            or fields.get("realm") != self._realm
            or fields.get("qop", "").lower() != "auth"
            or len(count) != 8
            or not count.isascii()
            or not count.isalnum()
        ):
            return Outcome.WRONG, ""
        name = fields.get("username", "")
        password = self._users.get(name)
        expected = respond(shown, algorithm, self._nobody if password is None else password, method)
        is_right = hmac.compare_digest(expected.encode(), fields.get("response", "").lower().encode())
        if not is_right or password is None:
            return Outcome.WRONG, ""
        return (Outcome.RIGHT, name) if self._use(fields, address, now) else (Outcome.STALE, "")

    def _use(self, fields: Mapping[str, str], address: str, now: float) -> bool:
        """Whether the nonce is ours, young, and has not been used with this count or a later one."""
        nonce = fields.get("nonce", "")
        try:
            count = int(fields["nc"], 16)
        except ValueError:
            return False
        made = self._open_nonce(nonce, address)
        if made is None or not now - NONCE_S <= made <= now:
            return False
        while self._used and next(iter(self._used.values()))[0] < now - NONCE_S:
            self._used.popitem(last=False)
        if count <= self._used.get(nonce, (0.0, 0))[1] or (nonce not in self._used and self._is_full):
            return False
        self._used[nonce] = made, count
        return True

    @property
    def _is_full(self) -> bool:
        # Forgetting one that is still good would let it be replayed.
        return len(self._used) >= MAX_USED

    def _make_nonce(self, address: str, now: float) -> str:
        head = struct.pack(">d", now) + self._entropy(SALT)
        return base64.urlsafe_b64encode(head + self._seal(head, address)).decode()

    def _open_nonce(self, nonce: str, address: str) -> float | None:
        """When it was made; None where it is none of ours for this address."""
        try:
            data = base64.b64decode(nonce.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return None
        head, seal = data[: 8 + SALT], data[8 + SALT :]
        if len(data) != 8 + SALT + SEAL or not hmac.compare_digest(seal, self._seal(head, address)):
            return None
        return float(struct.unpack(">d", head[:8])[0])

    def _seal(self, head: bytes, address: str) -> bytes:
        return hmac.digest(self._secret, b"nonce" + head + address.encode(), "sha256")[:SEAL]


def respond(shown: Credentials, algorithm: Callable[[bytes], str], password: str, method: str) -> str:
    """The response that a client with this password computes (RFC 7616 §3.4.1)."""
    fields = shown.parameters
    secret = algorithm(f"{fields.get('username', '')}:{fields.get('realm', '')}:{password}".encode())
    asked = algorithm(f"{method}:{fields.get('uri', '')}".encode())
    told = ":".join([fields.get("nonce", ""), fields.get("nc", ""), fields.get("cnonce", ""), "auth", asked])
    return algorithm(f"{secret}:{told}".encode())
