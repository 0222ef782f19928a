"""Forms as bytes, and a socket to send them over: whole, in pieces, wrong, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

BOUNDARY = "frontier"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str | None, value: bytes | str, *, filename: str | None = None, head: str = "") -> bytes:
    """One part of a form, as clients write it."""
    data = value.encode() if isinstance(value, str) else value
    disposition = "form-data" + (f'; name="{name}"' if name is not None else "")
    disposition += f'; filename="{filename}"' if filename is not None else ""
    return (
        f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{head}\r\n".encode("utf-8", "surrogateescape")
        + data
        + b"\r\n"
    )


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def recording(data: bytes = b"RIFF....", **fields: str) -> bytes:
    """A form with a recording and these fields."""
    return form(part("audio", data, filename="a.wav"), *(part(n, v) for n, v in fields.items()))


@dataclass
class Answer:
    """What came back over a socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One TCP connection to a server, on which a test says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Line:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def head(self, path: str = "/v1/transcribe", **headers: str) -> None:
        """The head of a POST; ``content_length`` or ``transfer_encoding`` among the headers."""
        lines = [f"POST {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = 5.0) -> Answer:
        """The next answer."""
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            length = int(headers.get("Content-Length", 0))
            return Answer(int(first.split()[1]), headers, await self.reader.readexactly(length))

    async def is_closed(self, seconds: float = 5.0) -> bool:
        """Whether the server ends the connection within that time."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read() == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
