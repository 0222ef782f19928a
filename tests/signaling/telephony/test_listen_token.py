"""Tokens to hear one call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.auth import OPEN, Authority
from signaling.key_file import plain_keys
from signaling.telephony.listen_token import make_listen_token, read_listen_token
from signaling.tokens import TokenExpired, TokenWrong

KEY = "a-key-of-sixteen-chars"


def make(*keys: str, secret: bytes = b"s" * 32) -> Authority:
    return Authority(plain_keys(keys), secret, token_seconds=60)


KEYS = make(KEY)
KEY_ID = KEYS.identify(f"Bearer {KEY}").key_id
TOKEN = make_listen_token(KEYS, KEY_ID, "call", 1_000)


def test_it_is_good_for_its_call_until_it_expires_and_again_and_again():
    for _ in range(3):
        assert read_listen_token(KEYS, TOKEN, "call", 999.9).key_id == KEY_ID
    with pytest.raises(TokenExpired):
        read_listen_token(KEYS, TOKEN, "call", 1_000)
    with pytest.raises(TokenWrong):
        read_listen_token(KEYS, TOKEN, "other", 0)
    with pytest.raises(TokenWrong):
        read_listen_token(make(KEY, secret=b"t" * 32), TOKEN, "call", 0)


def test_it_goes_with_its_key():
    keys = make(KEY, "b-key-of-sixteen-chars")
    token = make_listen_token(keys, KEY_ID, "call", 1_000)
    keys.replace(plain_keys(["b-key-of-sixteen-chars"]))
    with pytest.raises(TokenWrong):
        read_listen_token(keys, token, "call", 0)


def test_an_open_server_has_them_too():
    keys = make()
    assert read_listen_token(keys, make_listen_token(keys, OPEN, "c", 9), "c", 0).key_id == OPEN


def test_it_is_no_token_of_a_session_nor_the_other_way_round():
    with pytest.raises(TokenWrong):
        read_listen_token(KEYS, KEYS.issue(KEY_ID, 0, bytes(16)), "call", 0)
    with pytest.raises(TokenWrong):
        KEYS.tokens.read(TOKEN)


@given(st.text(max_size=200) | st.integers(0, len(TOKEN) - 1).map(lambda i: TOKEN[:i] + "x" + TOKEN[i + 1 :]))
def test_nothing_else_is_one(text):
    if text != TOKEN:
        with pytest.raises(TokenWrong):
            read_listen_token(KEYS, text, "call", 0)


@given(st.text(max_size=100))
def test_nor_with_its_beginning(text):
    with pytest.raises(TokenWrong):
        read_listen_token(KEYS, "lt_" + text, "call", 0)
