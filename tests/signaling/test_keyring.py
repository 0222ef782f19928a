"""Which keys are good, at the start and when the file has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from rtc_stt.errors import ConfigError, Unauthorized
from signaling.auth import Authority
from signaling.key_file import MAX_FILE_BYTES
from signaling.keyring import Keyring, load_keys
from signaling.settings import Access, Server
from signaling.usage import Usage

ONE, TWO, THREE = "first-key-0123456789", "second-key-0123456789", "third-key-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.touch(0o600)
    return path


def write(file: Path, text: str) -> None:
    """As an editor does."""
    file.write_text(text)


def load(
    path: Path | None = None, *keys: str, host: str = "127.0.0.1", allow_open: bool = False
) -> list[str]:
    server = Server(host=host, api_keys=keys, allow_open=allow_open)
    return [key.text for key in load_keys(server, Access(api_keys_file=str(path or "")))]


def test_keys_of_both_places_are_good(file: Path) -> None:
    file.write_text(f"\ufeff{TWO} name=acme\n", encoding="utf-8")  # as some editors begin a file
    assert load(file, ONE) == [ONE, TWO]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "stt.example.org"])
def test_an_address_that_others_reach_needs_keys_or_a_clear_word(file: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="API_KEYS_FILE"):
        load(host=host)
    assert load(host=host, allow_open=True) == []
    assert load(None, ONE, host=host) == [ONE]
    file.write_text(TWO)
    assert load(file, host=host) == [TWO]


def test_an_empty_file_opens_no_server(file: Path) -> None:
    with pytest.raises(ConfigError, match="no key in it"):
        load(file)
    with pytest.raises(ConfigError, match="no key in it"):
        load(file, allow_open=True)
    assert load(file, ONE) == [ONE]


def test_what_is_no_file_of_keys_is_told_and_not_waited_for(tmp_path: Path) -> None:
    pipe, raw, big = tmp_path / "pipe", tmp_path / "raw", tmp_path / "big"
    os.mkfifo(pipe)
    raw.write_bytes(b"\xff\xfe" + ONE.encode())
    big.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    for path, word in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "a directory"),
        (pipe, "is no file"),
        (raw, "not UTF-8"),
        (big, "256 KiB"),
    ):
        with pytest.raises(ConfigError, match=word) as error:
            load(path)
        assert "API_KEYS_FILE" in str(error.value)


def test_a_file_that_others_may_read_is_warned_of(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(ONE)
    load(file)
    assert caplog.text == ""
    file.chmod(0o604)
    load(file)
    assert "chmod o-r" in caplog.text
    assert ONE not in caplog.text


async def test_the_file_is_read_again_and_one_that_is_broken_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server, access = Server(api_keys=(ONE,)), Access(api_keys_file=str(file))
    write(file, f"{TWO} name=acme daily_audio_seconds=60")
    authority = Authority(load_keys(server, access), b"a secret that signs", token_seconds=60)
    usage = Usage()
    keyring = Keyring(server, access, authority, usage)
    assert keyring.has_file
    two = authority.identify(f"Bearer {TWO}").key_id
    assert usage.account(two).name == "acme"

    write(file, f"{THREE} name=acme daily_audio_seconds=90")
    await keyring.reload()
    assert "2 keys" in caplog.text
    three = authority.identify(f"Bearer {THREE}").key_id
    assert (usage.limit_s(two), usage.limit_s(three)) == (60, 90), "its sessions go on, in the same book"
    with pytest.raises(Unauthorized):
        authority.identify(f"Bearer {TWO}")
    authority.identify(f"Bearer {ONE}")

    caplog.clear()
    write(file, f"{TWO}\n{TWO}\n")
    await keyring.reload()
    assert "stay as they were" in caplog.text
    assert f"{file}:2" in caplog.text
    assert TWO not in caplog.text
    assert authority.identify(f"Bearer {THREE}").key_id == three
