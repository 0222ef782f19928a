"""``rtc-stt config``: is it right, and what does it come to?"""

from __future__ import annotations

import socket

import pytest

from rtc_stt.cli import main
from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import keys

KEY = "a-key-of-sixteen-chars"


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch):
    """Nothing of the machine's own configuration."""
    for name in ("CONFIG_PATH", *(spec.name for group in GROUPS for spec in keys(group).values())):
        monkeypatch.delenv(name, raising=False)


def test_the_effective_configuration_names_the_source_of_each_value(tmp_path, monkeypatch, capsys):
    path = tmp_path / "gateway.env"
    path.write_text("PORT=9000\nMIN_SILENCE_MS=700\n")
    monkeypatch.setenv("PORT", "9001")
    assert main(["config", "check", "--config", str(path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "PORT=9001  # environment" in out
    assert f"MIN_SILENCE_MS=700  # {path}:2" in out
    assert "HOST=127.0.0.1  # default" in out


def test_what_is_right_may_be_right_in_silence(monkeypatch, capsys):
    assert main(["config", "check", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("PORT", "many")
    assert main(["config", "check", "--quiet"]) == 1
    assert "PORT" in capsys.readouterr().err


def test_secrets_are_counted_and_not_shown(monkeypatch, capsys):
    monkeypatch.setenv("API_KEYS", f"{KEY},{KEY}-two")
    assert main(["config", "check"]) == 0
    out = capsys.readouterr().out
    assert "API_KEYS=(2 set)" in out
    assert KEY not in out


def test_a_file_of_keys_counts_and_is_looked_into(tmp_path, monkeypatch, capsys):
    path = tmp_path / "keys.txt"
    path.touch(0o600)
    path.write_text(f"{KEY} name=acme\n")
    monkeypatch.setenv("API_KEYS_FILE", str(path))
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert main(["config", "check"]) == 0
    printed = capsys.readouterr()
    assert f"API_KEYS_FILE={path}" in printed.out
    path.write_text(f"{KEY} nmae=acme\n")
    assert main(["config", "check"]) == 1
    wrong = capsys.readouterr()
    assert f"{path}:1: expected KEY" in wrong.err
    assert wrong.out == ""
    assert KEY not in printed.out + wrong.err


def test_a_file_may_be_named_by_the_environment(tmp_path, monkeypatch, capsys):
    path = tmp_path / "gateway.env"
    path.write_text("PORT=9000\n")
    monkeypatch.setenv("CONFIG_PATH", str(path))
    assert main(["config", "check"]) == 0
    assert "PORT=9000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("PROT=1", "did you mean PORT?"),
        ("PORT=many", "PORT must be of type int"),
        ("MIN_SILENCE_MS=100", "SPECULATE_AFTER_MS"),
        ("HOST=0.0.0.0", "API_KEYS is empty"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line_and_exits_with_one(tmp_path, capsys, line, told):
    path = tmp_path / "gateway.env"
    path.write_text(line + "\n")
    assert main(["config", "check", "--config", str(path)]) == 1
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


SECRET = "a-secret-of-more-than-24-chars"


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("UDP_PORT_RANGE=many", "UDP_PORT_RANGE: two ports"),
        ("MEDIA_WORKERS=9\nUDP_PORT_RANGE=50000-50003", "UDP_PORT_RANGE"),
        ("SIP_PORT=5060\nSIP_ALLOW=10.0.0.0/8,everyone", "SIP_ALLOW: 'everyone'"),
        ("SIP_PORT=5060\nSIP_USERS=anna", "SIP_USERS: each is name:password"),
        ("SIP_PORT=5060\nSIP_HOST=0.0.0.0", "SIP_PUBLIC_IP"),
        ("SIP_PORT=5060\nSIP_PUBLIC_IP=pbx.example", "SIP_PUBLIC_IP: it should be an IP address"),
        ("SIP_PORT=5060\nRTP_PORT_RANGE=20000-20001", "RTP_PORT_RANGE: pairs"),
        ("SIP_PORT=5060\nSIP_OWNER=nobody", "SIP_OWNER"),
        ("PUBLIC_URL=stt.example.org", "PUBLIC_URL is no URL"),
        ("PUBLIC_URL=https://[stt", "PUBLIC_URL is no URL"),
        (f"WEBHOOK_URL=ftp://example.org\nWEBHOOK_SECRET={SECRET}", "WEBHOOK_URL is an http"),
        (f"WEBHOOK_URL=https://[example\nWEBHOOK_SECRET={SECRET}", "WEBHOOK_URL is an http"),
        ("WEBHOOK_URL=https://example.org", "WEBHOOK_SECRET has fewer"),
        ("WEBHOOK_URL=https://example.org\nWEBHOOK_SECRET=whsec_$$$", "is not base64"),
        (f"WEBHOOK_URL=https://example.org\nWEBHOOK_SECRET={SECRET}\nWEBHOOK_EVENTS=dmtf", "no event 'dmtf'"),
        ("AUDIOSOCKET_PORT=8080", "AUDIOSOCKET_PORT=8080 is the port of PORT too"),
        ("AUDIOSOCKET_PORT=9092\nSIP_PORT=9092\nSIP_HOST=0.0.0.0\nSIP_PUBLIC_IP=192.0.2.1", "SIP_PORT=9092"),
    ],
)
def test_what_only_starting_would_find_is_found(tmp_path, capsys, lines, told):
    """By the code that starting uses. Nothing of a secret is in what is told."""
    path = tmp_path / "gateway.env"
    path.write_text(lines + "\n")
    assert main(["config", "check", "--config", str(path)]) == 1
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert SECRET not in printed.err
    assert "anna" not in printed.err


def test_settings_of_phones_that_are_right_are_found_right_without_listening(tmp_path, capsys):
    dead_letters = tmp_path / "dead-letters"
    path = tmp_path / "gateway.env"
    with socket.create_server(("127.0.0.1", 0)) as busy:
        path.write_text(
            f"SIP_PORT={busy.getsockname()[1]}\nSIP_ALLOW=10.0.0.0/8\nSIP_USERS=anna:{SECRET}\n"
            f"AUDIOSOCKET_PORT=9092\nAUDIOSOCKET_HOST=127.0.0.2\nPUBLIC_URL=wss://stt.example.org\n"
            f"WEBHOOK_URL=https://example.org/hook\nWEBHOOK_SECRET={SECRET}\n"
            f"WEBHOOK_DEAD_LETTERS={dead_letters}\n"
        )
        assert main(["config", "check", "--config", str(path)]) == 0
    printed = capsys.readouterr()
    assert "SIP_USERS=(1 set)" in printed.out
    assert SECRET not in printed.out + printed.err
    assert not dead_letters.exists()


def test_the_reference_can_be_printed_and_used(tmp_path, capsys):
    assert main(["config", "reference"]) == 0
    path = tmp_path / "gateway.env"
    path.write_text(capsys.readouterr().out)
    assert main(["config", "check", "--config", str(path)]) == 0


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["config"], ["serve", "--port", "x"]])
def test_wrong_usage_exits_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_serving_without_a_model_is_an_error_that_says_what_to_do(monkeypatch, capsys):
    monkeypatch.delenv("CT2_SMALL_PATH", raising=False)
    assert main(["serve", "--port", "0"]) == 1
    assert "rtc-stt demo" in capsys.readouterr().err
