"""What stands in header fields; nothing takes long, however it is made."""

from __future__ import annotations

import contextlib
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.fields import (
    option_tags,
    read_credentials,
    read_media_type,
    read_name_addr,
    read_seconds,
    read_via,
    split_list,
    uri_user,
)
from signaling.telephony.sip.message import MAX_LINE

READERS = (split_list, read_name_addr, read_via, read_credentials, read_media_type, read_seconds, uri_user)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ('"x, \\", y" <sip:a,b@c>;p="1,2", <sip:d>', ['"x, \\", y" <sip:a,b@c>;p="1,2"', "<sip:d>"]),
        ("", []),
        (", ,", []),
        ('"open, a, b', ['"open, a, b']),
    ],
)
def test_commas_within_quotes_and_brackets_separate_nothing(value, parts):
    assert split_list(value) == parts


def test_a_list_has_an_end():
    with pytest.raises(BadRequest, match="too many"):
        split_list("a," * 100)


@pytest.mark.parametrize(
    ("text", "uri", "name", "tag"),
    [
        ("<sip:a@b>;tag=1", "sip:a@b", "", "1"),
        ('"A \\"B\\"" <sip:a@b;x=y>;tag=a+b*c', "sip:a@b;x=y", 'A "B"', "a+b*c"),
        ("Alice <sip:a@b> ; Tag = q", "sip:a@b", "Alice", "q"),
        ("sip:a@b;tag=2", "sip:a@b", "", "2"),
        ("<tel:+1-201;phone-context=x>", "tel:+1-201;phone-context=x", "", ""),
        ('<sip:a@b>;x;y="1;2";tag=3', "sip:a@b", "", "3"),
    ],
)
def test_addresses(text, uri, name, tag):
    address = read_name_addr(text)
    assert (address.uri, address.name, address.tag) == (uri, name, tag)


@pytest.mark.parametrize(
    "text", ["", "*", "a", "<>", "<a>", "<sip:a", "sip:a b", "<sip:a>x", "<sip:a>;", "<sip:a>;=1"]
)
def test_what_is_no_address(text):
    with pytest.raises(BadRequest):
        read_name_addr(text)


@pytest.mark.parametrize(
    ("text", "sent_by", "branch"),
    [
        ("SIP/2.0/UDP pbx1;branch=z9hG4bK+x!*", "pbx1:5060", "z9hG4bK+x!*"),
        ("SIP / 2.0 / tcp my_PBX : 5070 ; rport ;branch=a", "my_pbx:5070", "a"),
        ("SIP/2.0/UDP [2001:db8::1]:5061;received=::1;branch=b", "[2001:db8::1]:5061", "b"),
    ],
)
def test_vias(text, sent_by, branch):
    via = read_via(text)
    assert (via.sent_by, via.branch) == (sent_by, branch)


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/1.0/UDP a", "SIP/2.0/UDP a:0", "SIP/2.0/UDP a:65536", "x"]
)
def test_what_is_no_via(text):
    with pytest.raises(BadRequest):
        read_via(text)


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:alice@b", "alice"),
        ("sip:alice:secret@b", "alice"),
        ("SIPS:%23%31%32@b;user=phone", "#12"),
        ("sip:+1201;ext=5@b", "+1201"),
        ("tel:+1-201-555;phone-context=x", "+1-201-555"),
        ("sip:b", "sip:b"),
        ("urn:x", "urn:x"),
    ],
)
def test_who_a_uri_is_of(uri, user):
    assert uri_user(uri) == user


def test_small_ones():
    assert option_tags(" Timer,,siprec ") == {"timer", "siprec"}
    assert read_seconds("90 ; refresher=UAC") == (90, {"refresher": "UAC"})
    assert read_media_type('Multipart/Mixed ; boundary="a;b"') == ("multipart/mixed", {"boundary": "a;b"})
    assert read_credentials('Digest a="x, y" , b=z').parameters == {"a": "x, y", "b": "z"}
    for wrong in ("", "x", "-1", "\u0661", "1" * 11):
        with pytest.raises(BadRequest):
            read_seconds(wrong)


ATOMS = (
    '"',
    '\\"',
    "\\",
    "<",
    ">",
    ",",
    ";",
    "=",
    ":",
    "@",
    "a",
    'a="b"',
    ';a="b"',
    "a.",
    "a-",
    "SIP/2.0/UDP ",
)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_nothing_takes_long(reader):
    for atom, start, end in product(
        ATOMS, ("", "Digest ", "tel:", "sip:", "<sip:", '"', "SIP/2.0/UDP x"), ("", "!", "\u00e9")
    ):
        text = (start + atom * (MAX_LINE // len(atom)) + end)[:MAX_LINE]

        def seconds(text: str = text) -> float:
            began = time.thread_time()
            with contextlib.suppress(BadRequest):
                reader(text)
            return time.thread_time() - began

        assert seconds() < 0.003 or min(seconds() for _ in range(5)) < 0.003, (atom, start, end)


@given(
    st.sampled_from(READERS),
    st.text(max_size=60) | st.lists(st.sampled_from(ATOMS), max_size=30).map("".join),
)
def test_anything_is_read_or_refused(reader, text):
    with contextlib.suppress(BadRequest):
        assert reader(text) is not None
