"""Tokens: one session each, for a while, in the name of a key."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import TooMany
from signaling import tokens as module
from signaling.tokens import NONCE_BYTES, TokenExpired, TokenReplayed, Tokens, TokenWrong, name_key

SECRET = b"a secret that signs"
KEY_ID = name_key(SECRET, "a-key-of-sixteen-chars")
NOW = 1_800_000_000.0


def make(secret: bytes = SECRET, known: tuple[str, ...] = (KEY_ID,)) -> Tokens:
    return Tokens(secret, seconds=120, is_known=known.__contains__)


def nonce(number: int = 0) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def test_a_token_tells_whose_it_is_and_until_when():
    token = make().read(make().issue(KEY_ID, NOW, nonce(7)))
    assert (token.key_id, token.expires_at, token.nonce) == (KEY_ID, NOW + 120, nonce(7))


def test_a_machine_with_the_same_secret_tells_it_and_others_do_not():
    text = make().issue(KEY_ID, NOW, nonce())
    make().spend(make().read(text), NOW)
    with pytest.raises(TokenWrong):
        make(b"another secret").read(text)


def test_a_token_is_good_for_one_session():
    tokens = make()
    token = tokens.read(tokens.issue(KEY_ID, NOW, nonce()))
    tokens.spend(token, NOW + 119)
    with pytest.raises(TokenReplayed):
        tokens.spend(token, NOW + 119)


def test_a_session_that_did_not_come_about_uses_none():
    tokens = make()
    token = tokens.read(tokens.issue(KEY_ID, NOW, nonce()))
    tokens.spend(token, NOW)
    tokens.unspend(token)
    tokens.spend(token, NOW)


def test_a_token_expires():
    tokens = make()
    token = tokens.read(tokens.issue(KEY_ID, NOW, nonce()))
    tokens.check(token, NOW + 119.9)
    with pytest.raises(TokenExpired):
        tokens.check(token, NOW + 120)


def test_a_key_that_is_taken_back_takes_its_tokens_with_it():
    with pytest.raises(TokenWrong, match="key"):
        make(known=()).read(make().issue(KEY_ID, NOW, nonce()))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_it_can_be_changed(place, by):
    text = make().issue(KEY_ID, NOW, nonce()).removeprefix("st_")
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[place % len(raw)] ^= by
    with pytest.raises(TokenWrong):
        make().read("st_" + base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text(max_size=100) | st.text("st_ABCabc-=+/", max_size=300))
def test_nothing_else_is_one(text):
    for given_text in (text, "st_" + text):
        with pytest.raises(TokenWrong):
            make().read(given_text)


def test_used_tokens_are_remembered_no_longer_than_needed_and_never_too_many(monkeypatch):
    monkeypatch.setattr(module, "MAX_USED", 3)
    tokens = make()
    read = [tokens.read(tokens.issue(KEY_ID, NOW, nonce(n))) for n in range(4)]
    later = tokens.read(tokens.issue(KEY_ID, NOW + 200, nonce(9)))
    for token in read[:3]:
        tokens.spend(token, NOW)
    with pytest.raises(TooMany):
        tokens.spend(read[3], NOW)
    tokens.spend(later, NOW + 201)


def test_the_name_of_a_key_tells_nothing_of_it():
    assert name_key(SECRET, "a-key-of-sixteen-chars") != name_key(b"other", "a-key-of-sixteen-chars")
    assert len(KEY_ID) == 16
