"""``rtc-stt primary`` and ``rtc-stt fallback``: what they load, and what they say where they cannot."""

from __future__ import annotations

import pytest

from rtc_stt import demo_models
from rtc_stt.cli import common, main, service
from rtc_stt.cli.fallback import FALLBACK
from rtc_stt.cli.primary import PRIMARY
from rtc_stt.config import Decoding
from rtc_stt.errors import ModelError
from rtc_stt.hypothesis import Tier
from rtc_stt.service.transcript import UNDOUBTING
from signaling.settings import Access, Server


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch):
    """Nothing of the machine's own configuration."""
    for name in ("CONFIG_PATH", "API_KEYS", "HOST", "PORT", "CT2_SMALL_PATH", "CT2_MEDIUM_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("command", "key"), [("primary", "CT2_SMALL_PATH"), ("fallback", "CT2_MEDIUM_PATH")])
def test_without_its_model_it_says_what_to_do(monkeypatch, capsys, command, key):
    other = "CT2_MEDIUM_PATH" if key == "CT2_SMALL_PATH" else "CT2_SMALL_PATH"
    monkeypatch.setenv(other, str(demo_models.FAST.path))  # which is none of its
    assert main([command, "--port", "0"]) == 1
    told = capsys.readouterr().err
    assert key in told
    assert f"rtc-stt {command} --demo" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("command", ["primary", "fallback"])
def test_the_help_has_an_example(capsys, command):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert exit.value.code == 0
    told = capsys.readouterr().out
    assert "example:" in told
    assert f"rtc-stt {command}" in told
    assert "--demo" in told
    assert f"default: {8081 if command == 'primary' else 8082}" in told


def test_each_loads_its_own_model_and_no_other():
    decoding = Decoding(small_path="small", medium_path="medium", beam_size=3)
    assert PRIMARY.choose(decoding) == {Tier.FAST: common.Model("small", 1)}
    assert FALLBACK.choose(decoding) == {Tier.FAST: common.Model("medium", 3)}
    assert common.both_models(decoding) == {
        Tier.FAST: common.Model("small", 1),
        Tier.ACCURATE: common.Model("medium", 3),
    }


def test_the_fallback_doubts_nothing():
    assert FALLBACK.routing is UNDOUBTING
    assert PRIMARY.routing is None


def test_a_model_that_is_not_there_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("CT2_SMALL_PATH", str(tmp_path / "nowhere"))
    assert main(["primary", "--port", "0"]) == 1
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "port_in_environment", "port"),
    [
        (["primary"], None, 8081),
        (["fallback"], None, 8082),
        (["primary"], "9000", 9000),
        (["primary", "--port", "9001"], "9000", 9001),
    ],
)
def test_it_listens_where_it_is_told_and_else_at_its_own_port(
    monkeypatch, arguments, port_in_environment, port
):
    ports: list[int] = []

    def stop(server: Server, access: Access) -> None:
        ports.append(server.port)
        raise ModelError("far enough")

    monkeypatch.setattr(service, "warn_if_open", stop)
    if port_in_environment:
        monkeypatch.setenv("PORT", port_in_environment)
    assert main(arguments) == 1
    assert ports == [port]


def test_on_an_address_that_others_reach_it_needs_a_key(capsys):
    assert main(["primary", "--demo", "--host", "0.0.0.0"]) == 1
    assert "ALLOW_OPEN" in capsys.readouterr().err
