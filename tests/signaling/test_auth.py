"""Who may come in."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtc_stt.errors import Unauthorized
from signaling.auth import DEMO, OPEN, Authority
from signaling.key_file import name_of_digest, plain_keys
from signaling.tokens import TokenWrong

KEYS = ("first-key-0123456789", "second-key-0123456789")
NOW = 1_800_000_000.0


def authority(*keys: str, demo: bool = False) -> Authority:
    return Authority(plain_keys(keys), b"a secret that signs", token_seconds=60, demo=demo)


@pytest.mark.parametrize("authorization", [None, "", "Bearer anything", "Basic x"])
def test_without_keys_everyone_may_come_in(authorization):
    assert authority().identify(authorization).key_id == OPEN
    assert authority().is_open


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_key_opens_and_has_a_name_of_its_own(scheme):
    ours = authority(*KEYS)
    names = [ours.identify(f"{scheme} {key}").key_id for key in KEYS]
    assert len(set(names)) == 2
    assert not any(key in name for key in KEYS for name in names)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEYS[0],
        f"Basic {KEYS[0]}",
        f"Bearer {KEYS[0]}x",
        f"Bearer {KEYS[0][:-1]}",
        f"Bearer {KEYS[0]},{KEYS[1]}",
        f"Bearer {KEYS[0].upper()}",
    ],
)
def test_anything_else_does_not(authorization):
    with pytest.raises(Unauthorized):
        authority(*KEYS).identify(authorization)


@given(st.text())
@example("\udcff\udcfe")  # how aiohttp hands over bytes that are no UTF-8
@example("st_\udcff")
def test_whatever_is_given_the_answer_is_unauthorized_and_shows_no_key(text):
    with pytest.raises(Unauthorized) as error:
        authority(*KEYS).identify(f"Bearer {text}")
    assert not any(key in str(error.value) for key in KEYS)


def test_a_token_stands_for_its_key_in_the_header_or_the_query():
    ours = authority(*KEYS)
    name = ours.identify(f"Bearer {KEYS[1]}").key_id
    token = ours.issue(name, NOW, bytes(16))
    for shown in (ours.identify(f"Bearer {token}"), ours.identify(None, token)):
        assert shown.key_id == name
        assert shown.token is not None


def test_a_key_is_never_taken_from_the_query():
    with pytest.raises(Unauthorized, match="never a key"):
        authority(*KEYS).identify(None, KEYS[0])


def test_a_key_that_looks_like_a_token_is_a_key():
    assert authority("st_key-of-sixteen-chars").identify("Bearer st_key-of-sixteen-chars").token is None


@pytest.mark.parametrize("name", [OPEN, DEMO])
def test_tokens_made_without_a_key_are_no_good_where_keys_are_asked_for(name):
    token = authority(demo=True).issue(name, NOW, bytes(16))
    assert authority(demo=True).identify(f"Bearer {token}").key_id == name
    with pytest.raises(TokenWrong):
        authority(*KEYS).identify(f"Bearer {token}")


def test_the_demo_with_keys_knows_the_tokens_of_its_page():
    ours = authority(*KEYS, demo=True)
    assert ours.identify(f"Bearer {ours.issue(DEMO, NOW, bytes(16))}").key_id == DEMO


def test_new_keys_take_the_place_of_old_ones_and_tokens_die_with_theirs():
    ours = authority(*KEYS)
    old, kept = (ours.identify(f"Bearer {key}").key_id for key in KEYS)
    tokens = [ours.issue(key_id, NOW, bytes([number]) * 16) for number, key_id in enumerate((old, kept))]
    assert set(ours.accounts) == {old, kept, OPEN, DEMO}
    ours.replace(plain_keys([KEYS[1], "third-key-0123456789"]))
    assert ours.identify(f"Bearer {KEYS[1]}").key_id == kept
    assert ours.identify(f"Bearer {tokens[1]}").key_id == kept
    ours.identify("Bearer third-key-0123456789")
    with pytest.raises(Unauthorized):
        ours.identify(f"Bearer {KEYS[0]}")
    with pytest.raises(TokenWrong, match="no longer good"):
        ours.identify(f"Bearer {tokens[0]}")
    assert old not in ours.accounts
    ours.replace(plain_keys(KEYS))
    assert ours.identify(f"Bearer {tokens[0]}").key_id == old


def test_no_replacement_opens_a_server_that_asks_for_keys():
    with pytest.raises(AssertionError):
        authority(*KEYS).replace([])


def test_each_key_is_in_the_book_of_its_name():
    ours = authority(*KEYS)
    key_id = ours.identify(f"Bearer {KEYS[0]}").key_id
    assert ours.accounts[key_id].name == name_of_digest(KEYS[0])
    assert ours.accounts[OPEN].name == OPEN
