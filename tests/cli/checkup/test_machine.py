"""What else a machine may lack."""

from __future__ import annotations

import errno
import resource
import socket
from pathlib import Path

import pytest

from rtc_stt.cli import main
from rtc_stt.cli.checkup import machine, models, network
from rtc_stt.cli.checkup.finding import State
from rtc_stt.cli.checkup.gpu_facts import GpuFacts
from rtc_stt.config import Decoding, Fallback
from rtc_stt.loading import Model
from signaling.settings import Access, Server, WebRtc


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = network.look_at_port("PORT", "127.0.0.1", port)
        assert finding.state is State.FAIL
        assert "is taken" in finding.says
        assert "ss -lntup" in finding.mend
    assert network.look_at_port("PORT", "127.0.0.1", port).state is State.OK


def test_an_address_that_is_none_of_ours_is_told() -> None:
    finding = network.look_at_port("SIP_PORT", "192.0.2.7", 5060, udp=True)
    assert finding.state is State.FAIL
    assert "on no address of this machine" in finding.says
    assert errno.EACCES in network.BIND_ERRORS


def test_descriptors_are_held_against_sessions() -> None:
    server = Server(max_sessions=1_000)
    assert machine.judge_descriptors(server, 1_024).state is State.WARN
    assert "ulimit -n 6100" in machine.judge_descriptors(server, 1_024).mend
    assert machine.judge_descriptors(server, 65_536).state is State.OK
    assert machine.judge_descriptors(server, resource.RLIM_INFINITY).state is State.OK


def test_memory_is_that_of_the_device_that_is_used() -> None:
    sizes, no_gpu = [2 * 2**30], GpuFacts(driver_error="none")
    [small] = machine.judge_memory(Decoding(device="cpu"), sizes, 2**30, no_gpu)
    assert (small.state, small.about) == (State.WARN, "memory")
    gpu = GpuFacts(count=1, memory_mb=(24_000.0,))
    [large] = machine.judge_memory(Decoding(device="cuda"), sizes, 2**30, gpu)
    assert (large.state, large.about) == (State.OK, "GPU memory")
    assert machine.judge_memory(Decoding(), [], 0, no_gpu) == []


def test_where_the_server_writes(tmp_path: Path) -> None:
    assert machine.look_at_files(Access(usage_db=str(tmp_path / "usage.db")), "")[0].state is State.OK
    [gone] = machine.look_at_files(Access(usage_db=str(tmp_path / "no" / "usage.db")), "")
    assert gone.state is State.FAIL
    assert "there is no folder" in gone.says
    assert machine.look_at_files(Access(), "") == []


def test_models_that_are_not_whole_are_told_apart(tmp_path: Path) -> None:
    def says(path: Path | str) -> tuple[State, str]:
        [finding] = models.look_at_folder("fast", Model(str(path)))
        return finding.state, finding.says + finding.mend

    assert "there is no folder" in says(tmp_path / "gone")[1]
    assert says("small") == (State.OK, "small is fetched on first start, where it is not here yet")
    (tmp_path / "model.safetensors").touch()
    state, text = says(tmp_path)
    assert state is State.FAIL
    assert "ct2-transformers-converter" in text
    for name in models.NEEDED_FILES:
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1")
    assert "pointer of Git LFS" in says(tmp_path)[1]


def test_clients_need_a_way_in() -> None:
    [few] = network.look_at_udp(Server(max_sessions=100), WebRtc(udp_port_range="50000-50009"))
    assert "10 ports" in few.says
    [wrong] = network.look_at_udp(Server(), WebRtc(udp_port_range="5-4"))
    assert wrong.state is State.FAIL
    outside = network.look_at_udp(Server(host="0.0.0.0"), WebRtc())
    assert [f.about for f in outside] == ["TURN_URL"]


def test_keys_and_who_could_come_in_without() -> None:
    assert network.look_at_keys(Server(api_keys=("k" * 16,)), Access())[0].state is State.OK
    assert network.look_at_keys(Server(), Access())[0].state is State.OK
    assert network.look_at_keys(Server(host="0.0.0.0"), Access())[0].state is State.FAIL
    assert network.look_at_keys(Server(host="0.0.0.0", allow_open=True), Access())[0].state is State.WARN


def test_fallbacks_that_are_not_there_keep_nothing_from_starting() -> None:
    fallback = Fallback(urls=("http://gpu-1:8082", "http://gpu-2:8082", "http://gpu-3:8082"))

    def ask(url: str) -> int:
        if "gpu-1" in url:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        return 200 if "gpu-2" in url else 503

    away, there, busy = network.look_at_fallbacks(fallback, ask)
    assert (away.state, there.state, busy.state) == (State.WARN, State.OK, State.WARN)
    assert "Connection refused" in away.says
    assert "503" in busy.says


def test_the_command_says_that_the_demo_would_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PORT", str(server.getsockname()[1]))
    assert main(["doctor", "--demo"]) == 0
    told = capsys.readouterr().out
    assert "models: fast and accurate loaded in" in told
    assert "All is well." in told or "to look at." in told


def test_the_command_fails_where_serve_would(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_SESSIONS", "many")
    assert main(["doctor"]) == 1
    assert "FAIL  configuration: environment: MAX_SESSIONS" in capsys.readouterr().out
    monkeypatch.delenv("MAX_SESSIONS")
    assert main(["doctor", "--json", "--no-load"]) == 1
    assert '"state": "fail", "about": "models"' in capsys.readouterr().out
