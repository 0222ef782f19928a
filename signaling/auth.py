"""Who may come in: API keys, compared in constant time, and tokens made with them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtc_stt.errors import Unauthorized
from signaling.key_file import ApiKey
from signaling.tokens import PREFIX, Token, Tokens, name_key
from signaling.usage import Account

__all__ = ["DEMO", "OPEN", "Authority", "Pass"]

OPEN = "open"
"""Stands for the key where none is asked for."""

DEMO = "demo"
"""Likewise for the demo's own page on this machine, where keys are asked for."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a request has shown."""

    key_id: str
    """See :attr:`~signaling.calls.Caller.key_id`."""
    token: Token | None = None
    """Where it was not the key itself. It may have been used, or have expired."""


class Authority:
    """Knows the keys and tells the tokens.

    Args:
        keys: none: everyone may come in, for good.
        secret: signs tokens and names keys.
        token_seconds: how long a token may be used to begin its session.
        demo: whether tokens may be made for the demo's page without a key.
    """

    def __init__(
        self, keys: Sequence[ApiKey], secret: bytes, *, token_seconds: int, demo: bool = False
    ) -> None:
        self._secret = secret
        self._ids = {name: name_key(secret, name) for name in (OPEN, DEMO)}
        self._demo = demo
        self._is_open = not keys
        self._keys: list[tuple[bytes, str]] = []
        self._accounts: dict[str, Account] = {}
        self._operators: frozenset[str] = frozenset()
        self._known: frozenset[str] = frozenset()
        self.replace(keys)
        self.tokens = Tokens(secret, seconds=token_seconds, is_known=lambda key_id: key_id in self._known)

    def replace(self, keys: Sequence[ApiKey]) -> None:
        """From here on these are good, and no others; what a key has begun goes on without it.

        Tokens of keys that are not among them are no longer good. Where keys were asked for there is one at
        least: no replacement opens the server to everyone.
        """
        assert self._is_open == (not keys)
        ids = {key.text: name_key(self._secret, key.text) for key in keys}
        self._keys = [(text.encode("utf-8", "surrogateescape"), key_id) for text, key_id in ids.items()]
        self._accounts = {ids[key.text]: key.account for key in keys} | {
            name: Account(name) for name in self._ids
        }
        self._operators = frozenset(ids[key.text] for key in keys if key.operator)
        known = set(ids.values()) or {self._ids[OPEN]}
        self._known = frozenset(known | ({self._ids[DEMO]} if self._demo else set()))

    @property
    def accounts(self) -> Mapping[str, Account]:
        """In whose book each key is that is good now, by its id; those too who need none."""
        return self._accounts

    @property
    def is_open(self) -> bool:
        """Whether no key is asked for."""
        return self._is_open

    def is_operator(self, key_id: str) -> bool:
        """Whether a key may see what others do."""
        return key_id in self._operators

    def issue(self, key_id: str, now: float, nonce: bytes) -> str:
        """A token for one session, in the name of a key. See :meth:`Tokens.issue`."""
        return self.tokens.issue(self._ids.get(key_id, key_id), now, nonce)

    def sign(self, purpose: bytes, payload: bytes) -> bytes:
        """A signature for what is no token of a session. ``purpose`` is one of its own, without a zero."""
        return hmac.digest(self._secret, purpose + b"\0" + payload, "sha256")

    def identify(self, authorization: str | None, access_token: str | None = None) -> Pass:
        """Who asks, by the ``Authorization`` header or a token in the query.

        Raises:
            TokenWrong: a token, and none of ours. Whether it may still begin a session is not asked here.
            Unauthorized: no key where one is needed, a wrong one, or a key in the query.
        """
        scheme, _, given = (authorization or "").partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if name := self._name(given):
            return Pass(name)
        if given.startswith(PREFIX):
            return self._read(given)
        if access_token is not None and not authorization:
            if not access_token.startswith(PREFIX):
                # A query ends up in logs and histories: a key that was there is a key that is known.
                raise Unauthorized("?access_token= takes a token of POST /v1/tokens only, never a key")
            return self._read(access_token)
        if self.is_open:
            return Pass(OPEN)
        if not given:
            raise Unauthorized("this server needs a key: send the header Authorization: Bearer KEY")
        raise Unauthorized("the key is wrong")

    def _read(self, text: str) -> Pass:
        token = self.tokens.read(text)
        names = {key_id: name for name, key_id in self._ids.items()}
        return Pass(names.get(token.key_id, token.key_id), token)

    def _name(self, given: str) -> str | None:
        """The id of a key, if it is one of ours."""
        # Every key is compared, and each in constant time, so that timing tells neither key nor number.
        # A header need not be text: aiohttp hands its bytes over as surrogates.
        key = given.encode("utf-8", "surrogateescape")
        found = None
        for ours, key_id in self._keys:
            if hmac.compare_digest(key, ours):
                found = key_id
        return found
