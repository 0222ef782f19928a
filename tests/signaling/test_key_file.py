"""API keys as the operator writes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling.key_file import MAX_KEYS, ApiKey, name_of_digest, parse_keys, plain_keys
from signaling.usage import Account

ONE, TWO = "first-key-0123456789", "second-key-0123456789"
PATH = "keys.txt"


def told(error: pytest.ExceptionInfo[ConfigError]) -> str:
    return str(error.value)


def test_a_line_is_a_key_with_or_without_options() -> None:
    text = (
        f"# our customers\n\n{ONE} name=acme daily_audio_seconds=3600\n  {TWO}  # a trial\n"
        f"{ONE}x name=acme daily_audio_seconds=3600\n{TWO}x daily_audio_seconds=0\n"
    )
    assert parse_keys(text, PATH) == [
        ApiKey(ONE, Account("acme", 3600.0)),
        ApiKey(TWO, Account(name_of_digest(TWO))),
        ApiKey(ONE + "x", Account("acme", 3600.0)),
        ApiKey(TWO + "x", Account(name_of_digest(TWO + "x"), 0.0)),
    ]


def test_windows_line_ends_and_a_key_with_a_hash_inside() -> None:
    assert [key.text for key in parse_keys(f"{ONE}#1\r\n{TWO} #1\r\n", PATH)] == [f"{ONE}#1", TWO]


def test_nothing_but_comments_is_no_key() -> None:
    assert parse_keys("#\n \n# x", PATH) == []


SECRET = "hush-hush-hush-hush-hush"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("hush", "16 to 512"),
        ("hush" * 129, "16 to 512"),
        ("name=hush", "16 to 512"),
        ("hüsh-hush-hush-hush", "ASCII"),
        (f"{SECRET} {SECRET}", "expected KEY"),
        (f"{SECRET} {SECRET}==", "expected KEY"),
        (f"{SECRET} Name=x", "expected KEY"),
        (f"{SECRET} name=a name=b", "name is given twice"),
        (f"{SECRET} name=", "a name has"),
        (f"{SECRET} name=-hush", "a name has"),
        (f"{SECRET} name={'hush' * 17}", "a name has"),
        (f"{SECRET} name=open", "are taken"),
        (f"{SECRET} name=demo", "are taken"),
        (f"{SECRET} name=0123456789abcdef", "are taken"),
        (f"{SECRET} name={SECRET}", "a name has"),
        (f"{SECRET} daily_audio_seconds=hush", "from 0"),
        (f"{SECRET} daily_audio_seconds=-1", "from 0"),
        (f"{SECRET} daily_audio_seconds=nan", "from 0"),
        (f"{SECRET} daily_audio_seconds=inf", "from 0"),
        (ONE, "this key is in line 1 already"),
        (f"{SECRET} name=acme daily_audio_seconds=5", "line 1"),
    ],
)
def test_a_mistake_is_told_by_file_and_line_and_nothing_of_the_line_is_shown(line: str, word: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_keys(f"{ONE} name=acme\n\n{line}\n", PATH)
    assert told(error).startswith(f"{PATH}:3: ")
    assert word in told(error)
    assert "hush" not in told(error).replace("name=acme", "")
    assert ONE not in told(error)


def test_a_key_of_the_environment_is_not_to_be_in_the_file_too() -> None:
    with pytest.raises(ConfigError, match=f"{PATH}:1: this key is in API_KEYS already"):
        parse_keys(ONE, PATH, plain_keys([ONE]))


def test_there_are_only_so_many() -> None:
    lines = [f"{number:016d}" for number in range(MAX_KEYS)]
    assert len(parse_keys("\n".join(lines), PATH)) == MAX_KEYS
    with pytest.raises(ConfigError, match="more than 1000 keys"):
        parse_keys("\n".join(lines), PATH, plain_keys([ONE]))


def test_the_name_of_a_digest_is_always_the_same() -> None:
    """Reports and stores have it: another one would begin every book anew."""
    assert name_of_digest(ONE) == "fd821aa4b47fc423"
    assert [key.account.name for key in plain_keys([ONE, TWO, ONE])] == [
        name_of_digest(ONE),
        name_of_digest(TWO),
    ]


def test_keys_are_not_shown() -> None:
    assert ONE not in repr(plain_keys([ONE]))


@given(st.text(max_size=200))
def test_whatever_is_in_the_file_is_keys_or_a_configuration_error(text: str) -> None:
    keys = []
    with contextlib.suppress(ConfigError):
        keys = parse_keys(text, PATH)
    assert all(16 <= len(key.text) <= 512 and key.text.isascii() for key in keys)
    assert len({key.text for key in keys}) == len(keys)
