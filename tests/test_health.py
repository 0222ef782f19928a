"""The health check of containers: right, cheap, and never an exception."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt import health
from rtc_stt.cli import main


class Server:
    """Answers every GET with ``status`` and its path."""

    def __init__(self) -> None:
        self.status, told = 200, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f'{{"asked": "{self.path}"}}'.encode()
                self.send_response(told.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8080/v1/ready"),
        ({"HOST": "0.0.0.0", "PORT": "8082"}, "http://127.0.0.1:8082/v1/ready"),
        ({"HOST": "::", "PORT": "1"}, "http://[::1]:1/v1/ready"),
        ({"HOST": "192.0.2.7"}, "http://192.0.2.7:8080/v1/ready"),
    ],
)
def test_where_it_asks(environment: dict[str, str], url: str) -> None:
    assert health.default_url(environment) == url


def test_200_is_well_and_nothing_else_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("PORT", str(server.port))
    assert health.main() == 0
    for status in (204, 301, 401, 503):
        server.status = status
        assert health.main() == 1
    assert health.main([f"http://127.0.0.1:{server.port}/elsewhere"]) == 1
    server.status = 200
    assert health.main([f"http://127.0.0.1:{server.port}/elsewhere"]) == 0


def test_the_command_says_what_was_answered(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--url", f"http://127.0.0.1:{server.port}/v1/ready"]) == 0
    assert capsys.readouterr().out == '200 {"asked": "/v1/ready"}\n'


def test_alive_is_another_question(server: Server, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("PORT", str(server.port))
    monkeypatch.setenv("HOST", "127.0.0.1")
    assert main(["health", "--alive"]) == 0
    assert "/v1/health" in capsys.readouterr().out


def test_nobody_there_is_not_well() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert health.ask(f"http://127.0.0.1:{taken.getsockname()[1]}/")[0] is False


def test_one_who_is_there_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        well, says = health.ask(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.05)
    assert (well, says) == (False, "no answer (TimeoutError)")


@settings(max_examples=30, deadline=None)
@given(answer=st.binary(max_size=80))
def test_any_answer_is_borne(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert health.ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=1.0)[0] in (True, False)
        thread.join()


@pytest.mark.parametrize("url", ["", "ftp://", "http://127.0.0.1:99999/", "http://[", "http://host name/"])
def test_a_url_that_is_none_is_not_well(url: str) -> None:
    assert health.ask(url, timeout_s=0.05)[0] is False


def test_it_imports_next_to_nothing() -> None:
    program = (
        "import sys, rtc_stt.health; print([n for n in ('numpy', 'aiohttp', 'asyncio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
