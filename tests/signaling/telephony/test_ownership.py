"""Whose a call is."""

from __future__ import annotations

import pytest

from rtc_stt.errors import ConfigError
from signaling.auth import OPEN, Authority, Pass
from signaling.key_file import parse_keys, plain_keys
from signaling.telephony.ownership import account_of, may_hear, owner_for_sip

FILE = """
first-key-of-acme-000 name=acme
second-key-of-acme-00 name=acme
key-of-somebody-else0 name=other
"""


def authority(text: str = FILE) -> Authority:
    return Authority(parse_keys(text, "keys"), b"s" * 32, token_seconds=60)


def shown(keys: Authority, key: str) -> Pass:
    return keys.identify(f"Bearer {key}")


def test_all_keys_of_an_account_hear_its_calls_and_no_others():
    keys = authority()
    first, second, other = (shown(keys, line.split()[0]) for line in FILE.split("\n")[1:4])
    account = account_of(keys, first.key_id)
    assert account == "acme"
    assert may_hear(keys, first, account)
    assert may_hear(keys, second, account)
    assert not may_hear(keys, other, account)
    assert not may_hear(keys, Pass(OPEN), account)
    keys.replace(parse_keys("a-new-key-of-acme-000 name=acme", "keys"))
    assert may_hear(keys, shown(keys, "a-new-key-of-acme-000"), account)
    assert not may_hear(keys, other, account)
    assert account_of(keys, other.key_id) == other.key_id


def test_on_an_open_server_everyone_hears_all():
    keys = Authority([], b"s" * 32, token_seconds=60)
    assert may_hear(keys, Pass(OPEN), "whoever")
    assert may_hear(None, Pass(OPEN), "whoever")


def test_calls_without_a_key_are_of_the_account_that_is_named():
    keys = authority()
    first, _, other = (shown(keys, line.split()[0]).key_id for line in FILE.split("\n")[1:4])
    assert owner_for_sip(keys, "") == first
    assert owner_for_sip(keys, "acme") == first
    assert owner_for_sip(keys, "other") == other
    for name in ("nobody", "open", "demo"):
        with pytest.raises(ConfigError, match="SIP_OWNER"):
            owner_for_sip(keys, name)


def test_on_an_open_server_they_are_nobodys():
    keys = Authority([], b"s" * 32, token_seconds=60)
    assert owner_for_sip(keys, "") == OPEN
    with pytest.raises(ConfigError):
        owner_for_sip(keys, "acme")


def test_keys_without_names_will_do():
    keys = Authority(plain_keys(["a-key-of-sixteen-chars", "b-key-of-sixteen-chars"]), b"s", token_seconds=1)
    assert owner_for_sip(keys, "") == shown(keys, "a-key-of-sixteen-chars").key_id
