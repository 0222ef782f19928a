"""A form comes in: all that may be wrong with it, and how little of it is believed."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random

import pytest
from aiohttp import ClientSession, FormData, web

from rtc_stt.errors import ClientError, Gone, Unavailable
from signaling import upload
from signaling.upload import Limits, receive
from tests.signaling.forms import BOUNDARY, TYPE, Line, form, part, recording

FIELDS = ("language", "prompt")
LIMITS = Limits(recording_bytes=3 * 2**20, seconds=5, field_bytes=100, stall_s=5)


class Reception:
    """A server that reads forms, and what became of them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.errors: list[Exception] = []
        self.files: list[object] = []
        app = web.Application()
        app.router.add_post("/v1/transcribe", self._post, expect_handler=self._expect)
        self._runner = web.AppRunner(app, lingering_time=0.5)  # aiohttp's TestServer would cancel the handler
        self.port = 0
        self.session = ClientSession()

    async def open(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self.session.close()
        await self._runner.cleanup()

    async def _expect(self, _request: web.Request) -> None:
        pass

    async def _post(self, request: web.Request) -> web.Response:
        try:
            async with receive(
                request, self.limits, recording="audio", fields=FIELDS, lists=("word",)
            ) as got:
                self.files.append(got.recording)
                data = await asyncio.to_thread(got.recording.read)
                told = {"size": got.size, "sha": hashlib.sha256(data).hexdigest(), "texts": got.texts}
                told |= {"lists": got.lists} if got.lists else {}
                return web.json_response(told)
        except (ClientError, Unavailable) as error:
            self.errors.append(error)
            return web.json_response({"type": error.type, "message": str(error)}, status=error.status)
        except Gone as error:
            self.errors.append(error)
            return web.Response(status=499)

    async def line(self) -> Line:
        return await Line.to(self.port)

    async def post(self, body: bytes, kind: str | None = TYPE, **headers: str) -> tuple[int, dict]:
        headers |= {"Content-Type": kind} if kind else {}
        url, data = f"http://127.0.0.1:{self.port}/v1/transcribe", io.BytesIO(body)
        response = await self.session.post(
            url, data=data, headers=headers, skip_auto_headers=["Content-Type"]
        )
        return response.status, json.loads(await response.text())


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Reception]]]:
    """Starts a reception with limits."""
    made: list[Reception] = []

    async def make(limits: Limits = LIMITS) -> Reception:
        made.append(Reception(limits))
        await made[-1].open()
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def reception(start: Callable[..., Awaitable[Reception]]) -> Reception:
    return await start()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ── What is right ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 1, 70_000, upload.MEMORY_BYTES, upload.MEMORY_BYTES + 1, 2_900_000])
async def test_a_recording_comes_through_as_it_is(reception, size):
    data = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    data = data[:size]
    status, told = await reception.post(recording(data, language="de", prompt="Grüße"))
    assert status == 200
    assert told == {"size": size, "sha": sha(data), "texts": {"language": "de", "prompt": "Grüße"}}


async def test_bytes_that_look_like_boundaries_are_a_recording_too(reception):
    data = f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n\r\n--{BOUNDARY.upper()}--\r\n".encode() * 50
    status, told = await reception.post(recording(data))
    assert (status, told["sha"]) == (200, sha(data))


@pytest.mark.parametrize("chunk", [1, 7, 1000])
async def test_in_whatever_pieces_it_comes(reception, chunk):
    body = recording(b"0123456789" * 30, language="en")
    line = await reception.line()
    await line.head(Content_Type=TYPE, Transfer_Encoding="chunked")
    for start in range(0, len(body), chunk):
        piece = body[start : start + chunk]
        await line.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    await line.send(b"0\r\n\r\n")
    answer = await line.answer()
    assert (answer.status, answer.json["size"], answer.json["texts"]) == (200, 300, {"language": "en"})
    await line.close()


async def test_the_fields_may_come_first_and_in_any_order(reception):
    body = form(part("prompt", "p"), part("audio", b"xy"), part("language", "en"))
    assert (await reception.post(body))[1]["texts"] == {"prompt": "p", "language": "en"}


async def test_some_fields_may_be_there_more_than_once(reception):
    body = form(
        part("word", "Ohm"), part("audio", b"x", filename="a"), part("word", ""), part("word", "Anna")
    )
    status, told = await reception.post(body)
    assert (status, told["lists"], told["texts"]) == (200, {"word": ["Ohm", "", "Anna"]}, {})
    status, told = await reception.post(form(part("audio", b"x", filename="a"), part("word", "x" * 101)))
    assert (status, "word" in told["message"]) == (400, True)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/dev/sda", "C:\\autoexec.bat", 'a\\"b', "ü.wav", "%00", ""]
)
async def test_what_a_client_calls_its_file_is_not_looked_at(reception, name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = b"x" * (upload.MEMORY_BYTES + 1000)
    status, told = await reception.post(form(part("audio", data, filename=name)))
    assert (status, told["size"]) == (200, len(data))
    assert list(tmp_path.iterdir()) == []


async def test_as_aiohttps_own_client_writes_it(reception):
    data = FormData()
    data.add_field("audio", b"abc", filename="a.wav", content_type="audio/wav")
    data.add_field("language", "en")
    response = await reception.session.post(f"http://127.0.0.1:{reception.port}/v1/transcribe", data=data)
    assert (await response.json())["texts"] == {"language": "en"}


async def test_who_asks_before_sending_is_invited(reception):
    body = recording(b"abc")
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)), Expect="100-continue")
    assert (await line.answer()).status == 100
    await line.send(body)
    assert (await line.answer()).status == 200
    await line.close()


async def test_nothing_is_kept_of_it(reception):
    for size in (10, upload.MEMORY_BYTES + 1000):
        await reception.post(recording(b"x" * size))
    assert all(file.closed for file in reception.files)


# ── What is wrong ────────────────────────────────────────────────────────────

AUDIO = part("audio", b"x")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (form(part("language", "en")), "audio is missing"),
        (form(), "audio is missing"),
        (form(AUDIO, AUDIO), "audio is there twice"),
        (form(AUDIO, part("language", "en"), part("language", "de")), "language is there twice"),
        (form(AUDIO, part("temperature", "0")), "no field 'temperature'"),
        (form(AUDIO, part("x" * 3000, "0")), "no field 'xxx"),
        (form(AUDIO, part("", "0")), "no field ''"),
        (form(AUDIO, part(None, "0")), "needs a name"),
        (form(AUDIO, part("prompt", b"\xff\xfe")), "prompt is not UTF-8"),
        (form(AUDIO, part("prompt", b"x" * 101)), "prompt is longer than 100 bytes"),
        (
            form(part("audio", "eHg=", head="Content-Transfer-Encoding: base64\r\n")),
            "Content-Transfer-Encoding",
        ),
        (b"", "broken"),
        (b"RIFF and so on", "broken"),
        (b"\r\n" * 1000, "broken"),
        (b"x" * 1_000_000, "broken"),
        (AUDIO, "broken"),
        (recording()[:-20], "broken"),
        (f"--{BOUNDARY}\r\n".encode(), "broken"),
        (f"--{BOUNDARY}\r\nContent-Disposition".encode(), "broken"),
        (f"--{BOUNDARY}\r\nno header\r\n\r\nx\r\n--{BOUNDARY}--".encode(), "broken"),
        (f"--{BOUNDARY}\r\n{'A: b' + chr(13) + chr(10)}".encode() * 2000, "broken"),
        (f"--{BOUNDARY}\r\nA: ".encode() + b"x" * 100_000, "broken"),
        (recording().replace(BOUNDARY.encode(), b"another"), "broken"),
    ],
)
async def test_a_form_that_is_wrong_is_400_and_says_why(reception, body, word):
    status, told = await reception.post(body)
    assert (status, told["type"]) == (400, "bad_request")
    assert word in told["message"]
    assert len(told["message"]) < 200


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/form-data; boundary=other",
        'multipart/form-data; boundary="front\xffier"',
        "multipart/form-data; boundary*0=a; boundary*1=b",
    ],
)
async def test_a_boundary_that_is_missing_or_wrong_is_400(reception, kind):
    status, told = await reception.post(recording(), kind)
    assert (status, told["type"]) == (400, "bad_request")
    assert "boundary" in told["message"]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "audio/wav",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=frontier",
    ],
)
async def test_what_is_no_form_is_415(reception, kind):
    status, told = await reception.post(recording(), kind)
    assert (status, told["type"]) == (415, "unsupported_media_type")
    assert "multipart/form-data" in told["message"]


async def test_what_is_compressed_is_415(reception):
    assert (await reception.post(recording(), Content_Encoding="x"))[0] == 200  # no such header
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length="5", Content_Encoding="gzip")
    assert (await line.answer()).status == 415
    await line.close()


async def test_forms_that_were_mutilated_are_understood_or_refused(reception):
    random = Random(5)
    whole = form(part("language", "en"), part("audio", bytes(range(256)) * 4, filename="a.wav"))
    answers = set()
    for _ in range(100):
        body = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            start = random.randrange(len(body))
            match random.randrange(3):
                case 0:
                    body[start] = random.randrange(256)
                case 1:
                    del body[start : start + random.randint(1, 30)]
                case 2:
                    body[start:start] = body[: random.randint(1, 90)]
        answers.add((await reception.post(bytes(body)))[0])
    assert answers == {200, 400}


# ── What is too much ────────────────────────────────────────────────────────────


async def test_too_large_by_its_length_is_413_before_a_byte_is_read(reception):
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(4 * 2**20))
    answer = await line.answer()
    assert (answer.status, answer.json["type"]) == (413, "too_large")
    assert "3 MiB" in answer.json["message"]
    await line.close()


async def test_too_large_by_what_comes_is_413(reception):
    line = await reception.line()
    await line.head(Content_Type=TYPE, Transfer_Encoding="chunked")
    pieces = [part("audio", b"")[:-2], *[b"x" * 65_536] * 49]
    for piece in pieces:
        await line.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    answer = await line.answer()
    assert (answer.status, answer.json["type"]) == (413, "too_large")
    await line.close()


async def test_a_recording_of_just_the_limit_is_taken(reception):
    data = b"x" * (3 * 2**20)
    assert (await reception.post(recording(data)))[0] == 200
    assert (await reception.post(recording(data + b"x")))[0] == 413


@pytest.mark.parametrize("filler", [b"x\r\n", b"\r\n"])
async def test_a_long_preamble_is_not_read_to_its_end(reception, filler):
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(2**20))
    await line.send(filler * (65_536 // len(filler)))
    began = time.process_time()
    assert (await line.answer()).status == 400
    assert time.process_time() - began < 0.1
    await line.close()


# ── Who is too slow ────────────────────────────────────────────────────────────


async def test_who_sends_nothing_more_is_told_408(start):
    reception = await start(Limits(recording_bytes=1000, seconds=5, field_bytes=100, stall_s=0.2))
    body = recording(b"x" * 500)
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)))
    await line.send(body[:300])
    answer = await line.answer(2)
    assert (answer.status, answer.json["type"]) == (408, "timeout")
    await line.close()


async def test_who_sends_a_byte_now_and_then_is_told_so_too(start):
    reception = await start(Limits(recording_bytes=1000, seconds=0.2, field_bytes=100))
    body = recording(b"x" * 500)
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)))

    async def drip() -> None:
        for byte in body:
            await line.send(bytes([byte]))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(drip())
    answer = await line.answer(2)
    task.cancel()
    assert (answer.status, answer.json["type"]) == (408, "timeout")
    assert "0.2 s" in answer.json["message"]
    await line.close()


# ── Who goes, and what fails ────────────────────────────────────────────────────────────


async def until(true: Callable[[], object]) -> None:
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("kept", [40, 300, upload.MEMORY_BYTES + 5000])
async def test_who_goes_is_gone(reception, kept):
    body = recording(b"x" * (kept + 1000))
    line = await reception.line()
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)))
    await line.send(body[:kept])
    await line.close()
    await until(lambda: reception.errors)
    assert isinstance(reception.errors[0], Gone)


async def test_a_full_disk_is_503_and_told_in_the_log(reception, monkeypatch, caplog):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    status, told = await reception.post(recording(b"x" * (upload.MEMORY_BYTES + 10)))
    assert (status, told["type"]) == (503, "unavailable")
    assert "No space left on device" in caplog.text
