"""Whose a call is. Pure.

A call belongs to an account (see :mod:`signaling.key_file`): every key of the same name hears it, also one
that was given out after it began. On an open server there is one account.
"""

from __future__ import annotations

from rtc_stt.errors import ConfigError
from signaling.auth import DEMO, OPEN, Authority, Pass

__all__ = ["account_of", "may_hear", "owner_for_sip"]


def account_of(authority: Authority | None, key_id: str) -> str:
    """In whose book a key is; its id where it is not good any more."""
    account = authority.accounts.get(key_id) if authority else None
    return account.name if account else key_id


def may_hear(authority: Authority | None, shown: Pass, account: str) -> bool:
    """Whether whoever shows this hears, and may end, the calls of an account."""
    return authority is None or authority.is_open or account_of(authority, shown.key_id) == account


def owner_for_sip(authority: Authority, name: str) -> str:
    """The id of the key whose calls are those that come without a key.

    Args:
        name: of an account, as ``SIP_OWNER`` has it; empty: the first key's, or nobody's on an open server.

    Raises:
        ConfigError: no key has this name.
    """
    keys = {key_id: a.name for key_id, a in authority.accounts.items() if key_id not in (OPEN, DEMO)}
    if not name:
        return next(iter(keys), OPEN)
    for key_id, account in keys.items():
        if account == name:
            return key_id
    raise ConfigError("SIP_OWNER: no key has this name; names stand in API_KEYS_FILE")
