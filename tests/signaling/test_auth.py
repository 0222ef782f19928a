"""Who may come in."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtc_stt.errors import Unauthorized
from signaling.auth import check_key

KEYS = ("first-key-0123456789", "second-key-0123456789")


@pytest.mark.parametrize("authorization", [None, "", "Bearer anything"])
def test_without_keys_everyone_may_come_in(authorization):
    check_key(authorization, ())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_key_opens(scheme, key):
    check_key(f"{scheme} {key}", KEYS)


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
        check_key(authorization, KEYS)


@given(st.text())
@example("\udcff\udcfe")  # how aiohttp hands over bytes that are no UTF-8
def test_whatever_is_given_the_answer_is_unauthorized_and_shows_no_key(text):
    with pytest.raises(Unauthorized) as error:
        check_key(f"Bearer {text}", KEYS)
    assert not any(key in str(error.value) for key in KEYS)
