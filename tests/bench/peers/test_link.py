"""The scripts' side of the bridge: one session over a pair of sockets."""

from __future__ import annotations

import ast
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtc_stt.bench.peers import link
from rtc_stt.bench.turns.targets.bridge_messages import HANG_UP, piece


class Echo:
    """Tells how many bytes came, and keeps its teller."""

    def __init__(self, tell: link.Tell) -> None:
        self.tell, self.closed = tell, 0

    def hear(self, pcm: bytes) -> None:
        self.tell("partial", text=str(len(pcm)))

    def close(self) -> None:
        self.closed += 1


class Peer:
    """The benchmark's end, and the session at the other."""

    def __init__(self, make: Callable[[link.Tell], Any]) -> None:
        self.socket, other = socket.socketpair()
        self.socket.settimeout(5)
        self.sessions: list[Any] = []

        def made(tell: link.Tell) -> Any:
            self.sessions.append(make(tell))
            return self.sessions[-1]

        self.thread = threading.Thread(target=link.run_session, args=(other, made), daemon=True)
        self.thread.start()

    def lines(self) -> list[dict[str, Any]]:
        """All that is told until the other end closes, but that the session has been made."""
        return [line for line in self.all_lines() if line != {"type": "ready"}]

    def all_lines(self) -> list[dict[str, Any]]:
        """The same, and that too."""
        told = b""
        while got := self.socket.recv(4096):
            told += got
        self.thread.join(5)
        return [json.loads(line) for line in told.splitlines()]


@pytest.fixture
def connect() -> Iterator[Callable[..., Peer]]:
    peers = []

    def made(make: Callable[[link.Tell], Any] = Echo) -> Peer:
        peers.append(Peer(make))
        return peers[-1]

    yield made
    for peer in peers:
        peer.socket.close()
        peer.thread.join(5)
        assert not peer.thread.is_alive()


def test_sound_comes_in_its_pieces_however_it_was_sent(connect: Callable[..., Peer]) -> None:
    peer = connect()
    for byte in piece(bytes(6)) + piece(bytes(640)) + HANG_UP:
        peer.socket.send(bytes([byte]))
    assert [line["text"] for line in peer.lines()] == ["6", "640"]
    assert peer.sessions[0].closed == 1


@pytest.mark.parametrize("last", [b"", b"\x02\x00", struct.pack("<I", 4) + b"ab"])
def test_who_is_gone_has_hung_up(connect: Callable[..., Peer], last: bytes) -> None:
    peer = connect()
    peer.socket.send(piece(bytes(2)) + last)
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.lines() == [{"type": "partial", "text": "2"}]
    assert peer.sessions[0].closed == 1


@pytest.mark.parametrize("size", [3, link.MAX_PIECE + 2])
def test_what_is_no_sound_ends_the_session(
    connect: Callable[..., Peer], size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    peer = connect()
    peer.socket.send(struct.pack("<I", size))
    [failed] = peer.lines()
    assert failed["reason"].startswith("ValueError in the script")
    assert f"a piece of sound has {size} bytes" in capfd.readouterr().err


def test_a_session_says_when_it_has_been_made(connect: Callable[..., Peer]) -> None:
    peer = connect()
    peer.socket.send(piece(bytes(2)) + HANG_UP)
    assert peer.all_lines() == [{"type": "ready"}, {"type": "partial", "text": "2"}]


def test_a_session_that_could_not_be_made_does_not_say_so(connect: Callable[..., Peer]) -> None:
    def broken(_: link.Tell) -> Any:
        raise MemoryError

    assert [line["type"] for line in connect(broken).all_lines()] == ["failed"]


def test_an_error_of_the_recogniser_is_told_without_its_words(
    connect: Callable[..., Peer], capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(_: link.Tell) -> Any:
        raise MemoryError("of secret size")

    [failed] = connect(broken).lines()
    assert failed == {
        "type": "failed",
        "reason": "MemoryError in the script; its standard error says where",
    }
    assert "of secret size" in capfd.readouterr().err


def test_only_what_there_is_can_be_told(connect: Callable[..., Peer]) -> None:
    peer = connect()
    peer.socket.send(piece(bytes(2)) + HANG_UP)
    peer.lines()
    tell = peer.sessions[0].tell
    for kind, fields in (("song", {}), ("final", {}), ("endpoint", {"text": "x"})):
        with pytest.raises(ValueError, match="no such message"):
            tell(kind, **fields)
    tell("final", text="after the end it does nothing")


def test_lines_of_several_threads_do_not_mix(connect: Callable[..., Peer]) -> None:
    class Chatter(Echo):
        def hear(self, pcm: bytes) -> None:
            def talk(text: str) -> None:
                for _ in range(50):
                    self.tell("partial", text=text * 500)

            threads = [threading.Thread(target=talk, args=(letter,)) for letter in "abcd"]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    peer = connect(Chatter)
    peer.socket.send(piece(bytes(2)) + HANG_UP)
    texts = [line["text"] for line in peer.lines()]
    assert sorted(texts) == sorted(letter * 500 for letter in "abcd" for _ in range(50))


def test_the_options_that_every_script_is_given() -> None:
    options = link.arguments("Anything.").parse_args(["--hangover-ms", "300", "--language", "de"])
    assert (options.model, options.hangover_ms, options.threads, options.language) == ("", 300, 1, "de")


@pytest.mark.parametrize("name", ["link.py", "example.py"])
def test_it_runs_where_there_is_no_rtc_stt(name: str) -> None:
    source = (Path(link.__file__).parent / name).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in for_types:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert all(n.split(".")[0] in sys.stdlib_module_names | {"link"} for n in names), names
