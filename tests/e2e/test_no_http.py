"""What is no HTTP, said to the gateway, the primary and the fallback as a user starts them."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

import aiohttp
import pytest

pytestmark = pytest.mark.e2e

SECRET = b"a-secret-of-tests"

WORDS = (
    b"\x16\x03\x01\x02\x00" + SECRET + b"\r\n\r\n",
    b"GET /" + SECRET + b" HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    b"POST /v1/transcribe HTTP/1.1\r\nX-Odd: \0" + SECRET + b"\r\n\r\n",
    b"GET /" + 9_000 * b"a" + SECRET + b" HTTP/1.1\r\n\r\n",
)


async def say(url: str, words: bytes) -> tuple[str, dict[str, str], bytes]:
    """The status line, the headers and the body of the answer; the server closes behind it."""
    to = urlsplit(url)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    writer.write(words)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("command", [("demo",), ("primary", "--demo"), ("fallback", "--demo")], ids=" ".join)
async def test_it_is_refused_in_the_form_of_the_contract(start_server, command):
    server = start_server(*command, "--port", "0", "--log-level", "info")
    url = server.url()
    for words in WORDS:
        first, headers, body = await say(url, words)
        assert first.split()[1] == "400"
        assert headers["Content-Type"].startswith("application/json")
        error = json.loads(body)["error"]
        assert set(error) == {"type", "message", "request_id"}
        assert error["request_id"] == headers["X-Req-Id"]
        assert SECRET not in body + str(headers).encode()
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
        found = re.search(r'rtc_stt_rejected_total\{reason="malformed"\} (\S+)', await response.text())
    assert found
    assert float(found[1]) == len(WORDS)
    server.stop()
    assert SECRET.decode() not in server.log
