"""The units of systemd, by its own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from rtc_stt.cli import main

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SOCKETS = sorted((ROOT / "deploy" / "systemd").glob("*.socket"))
EXPOSURE = 2.0
"""Of ten; what is left is the network, which a server needs."""


def test_there_is_one_for_each_service() -> None:
    assert [unit.stem for unit in UNITS] == ["rtc-stt-fallback", "rtc-stt-gateway", "rtc-stt-primary"]


def verify(folder: Path) -> str:
    units = [str(path) for path in sorted([*folder.glob("*.service"), *folder.glob("*.socket")])]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr


def test_systemd_understands_them(tmp_path: Path) -> None:
    program = tmp_path / "rtc-stt"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (*UNITS, *SOCKETS):
        (tmp_path / unit.name).write_text(
            unit.read_text().replace("/opt/rtc-stt/.venv/bin/rtc-stt", str(program))
        )
    told = [line for line in verify(tmp_path).splitlines() if "rtc-stt" in line]
    assert told == []


def test_a_pair_is_made_of_the_same_unit(tmp_path: Path) -> None:
    """By the very command of the document."""
    [command] = re.findall(r"^sed .*@\.service$", (ROOT / "docs/operate/rolling-update.md").read_text(), re.M)
    for role in ("gateway", "primary"):
        ours = (
            command.replace("$role", role)
            .replace("/opt/rtc-stt/", f"{ROOT}/")
            .replace("/etc/systemd/system", str(tmp_path))
        )
        subprocess.run(["sh", "-c", ours], check=True, timeout=10)
        text = (tmp_path / f"rtc-stt-{role}@.service").read_text()
        assert "--port %i --config" in text
        (tmp_path / f"rtc-stt-{role}@8090.service").write_text(
            text.replace("/opt/rtc-stt/.venv/bin/rtc-stt", "/bin/true").replace("%i", "8090")
        )
    assert [line for line in verify(tmp_path).splitlines() if "8090" in line] == []


def test_a_socket_is_where_its_service_would_listen() -> None:
    assert [socket.stem for socket in SOCKETS] == ["rtc-stt-gateway", "rtc-stt-primary"]
    for socket in SOCKETS:
        [address] = re.findall(r"^ListenStream=(\S+)$", socket.read_text(), re.M)
        config = (ROOT / "deploy" / "configs" / f"{socket.stem.removeprefix('rtc-stt-')}.env").read_text()
        host, port = (re.findall(rf"^{key}=(\S+)$", config, re.M)[0] for key in ("HOST", "PORT"))
        assert address == f"{host}:{port}"


def test_a_mistake_would_be_told(tmp_path: Path) -> None:
    (tmp_path / "rtc-stt-bad.service").write_text("[Service]\nExecStart=/bin/true\nProtectSystm=strict\n")
    assert "ProtectSystm" in verify(tmp_path)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_they_are_exposed_as_little_as_they_can_be(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+ ([\d.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= EXPOSURE


def test_a_drain_has_its_time() -> None:
    for unit in UNITS:
        text = unit.read_text()
        config = ROOT / "deploy" / "configs" / re.findall(r"/etc/rtc-stt/(\w+\.env)", text)[0]
        drain = float(re.findall(r"^DRAIN_SECONDS=(\d+)", config.read_text(), re.M)[0])
        stop = float(re.findall(r"^TimeoutStopSec=(\d+)", text, re.M)[0])
        assert stop >= drain + 10, "finals, goodbyes and the end of the threads"


def test_the_configurations_are_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys"
    keys.write_text("a-key-of-sixteen-and-more name=operator\n")
    for config in sorted((ROOT / "deploy" / "configs").glob("*.env")):
        ours = tmp_path / config.name
        ours.write_text(config.read_text().replace("/etc/rtc-stt/keys", str(keys)))
        assert main(["config", "check", "--config", str(ours)]) == 0, capsys.readouterr().err
