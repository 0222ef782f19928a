"""Who may come in: API keys, compared in constant time, and tokens made with them."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from rtc_stt.errors import Unauthorized
from signaling.tokens import PREFIX, Token, Tokens, name_key

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
        keys: none: everyone may come in.
        secret: signs tokens and names keys.
        token_seconds: how long a token may be used to begin its session.
        demo: whether tokens may be made for the demo's page without a key.
    """

    def __init__(self, keys: Sequence[str], secret: bytes, *, token_seconds: int, demo: bool = False) -> None:
        self._names = [(key, name_key(secret, key)) for key in keys]
        self._ids = {name: name_key(secret, name) for name in (OPEN, DEMO)}
        known = {name for _, name in self._names} or {self._ids[OPEN]}
        if demo:
            known.add(self._ids[DEMO])
        self.tokens = Tokens(secret, seconds=token_seconds, is_known=known.__contains__)

    @property
    def is_open(self) -> bool:
        """Whether no key is asked for."""
        return not self._names

    def issue(self, key_id: str, now: float, nonce: bytes) -> str:
        """A token for one session, in the name of a key. See :meth:`Tokens.issue`."""
        return self.tokens.issue(self._ids.get(key_id, key_id), now, nonce)

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
        """The name of a key, if it is one of ours."""
        # Every key is compared, and each in constant time, so that timing tells neither key nor number.
        # A header need not be text: aiohttp hands its bytes over as surrogates.
        key = given.encode("utf-8", "surrogateescape")
        found = None
        for ours, name in self._names:
            if hmac.compare_digest(key, ours.encode()):
                found = name
        return found
