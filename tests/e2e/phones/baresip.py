"""baresip, a SIP phone of other makers, without sound hardware: a file is its microphone.

It is run in a folder of its own and told what to do over its control port (module ``ctrl_tcp``: netstrings of
JSON).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tools.ports import free_port

__all__ = ["Baresip", "baresip"]

MODULES = Path("/usr/lib/baresip/modules")

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip_port}
call_local_timeout 10
call_max_calls 2
audio_source aufile,{wav}
audio_level no
ausrc_format s16
auenc_format s16
rtp_timeout 0
rtcp_mux no
jitter_buffer_delay 5-10
ctrl_tcp_listen 127.0.0.1:{control_port}
module_path {modules}
module aufile.so
module g711.so
module g722.so
module opus.so
module srtp.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
{more}
"""


class Baresip:
    """One phone that runs."""

    def __init__(
        self, log: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, callee: str
    ) -> None:
        self.events: list[dict[str, Any]] = []
        """What it told, oldest first."""
        self._log = log
        self._reader, self._writer = reader, writer
        self._callee = callee

    @property
    def log(self) -> str:
        """What it wrote."""
        return _told(self._log)

    def command(self, name: str, parameters: str = "") -> None:
        """Tell it to do something: ``dial``, ``sndcode``, ``hold``, ``resume``, ``hangup``, ``quit``."""
        text = json.dumps({"command": name, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))

    async def call(self) -> None:
        """Call the server; returns once the call stands.

        Raises:
            TimeoutError: it does not.
        """
        self.command("dial", self._callee)
        await self.until(lambda: "CALL_ESTABLISHED" in self.kinds)

    async def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.command("sndcode", key)
            await asyncio.sleep(0.5)

    async def hang_up(self) -> None:
        """End the call."""
        self.command("hangup")
        await self.until(lambda: "CALL_CLOSED" in self.kinds)

    @property
    def kinds(self) -> list[str]:
        """Of its events."""
        return [str(event.get("type")) for event in self.events]

    async def until(self, ready: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for something that it tells.

        Raises:
            TimeoutError: it did not; says what it told and wrote.
        """
        try:
            async with asyncio.timeout(seconds):
                while not ready():
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise TimeoutError(f"{self.events}\n{self.log[-4_000:]}") from error

    async def listen(self) -> None:
        """Take in what it tells, until it goes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads((await self._reader.readexactly(size + 1))[:-1])
                if message.get("event"):
                    self.events.append(message)


@contextlib.asynccontextmanager
async def baresip(
    folder: Path, wav: Path, callee: str, *, account: str = "", name: str = "baresip", more: str = ""
) -> AsyncIterator[Baresip]:
    """A phone that says a file into its calls.

    Args:
        folder: for its configuration and log; empty.
        wav: 16 bit.
        callee: a SIP URI.
        account: parameters, each with its semicolon before it: ``;audio_codecs=PCMU;mediaenc=srtp``.
        name: who calls.
        more: lines of its configuration.
    """
    control_port = _configure(folder, wav, account, name, more)
    log = folder / "baresip.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            shutil.which("baresip") or "baresip", "-f", str(folder), "-v",
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        reader, writer = await _connect(control_port, process, log)
        phone = Baresip(log, reader, writer, callee)
        listening = asyncio.create_task(phone.listen(), name="baresip")
        try:
            yield phone
            phone.command("quit")
            async with asyncio.timeout(5):
                await process.wait()
        finally:
            writer.close()
            listening.cancel()
            await asyncio.wait([listening])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _configure(folder: Path, wav: Path, account: str, name: str, more: str) -> int:
    """Write what it reads; gives its control port."""
    control_port = free_port()
    config = CONFIG.format(
        sip_port=free_port(), control_port=control_port, wav=wav, modules=MODULES, more=more
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(config, encoding="utf-8")
    (folder / "accounts").write_text(f"<sip:{name}@127.0.0.1>;regint=0{account}\n", encoding="utf-8")
    (folder / "contacts").touch()
    return control_port


def _told(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


async def _connect(
    port: int, process: asyncio.subprocess.Process, log: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(250):
        with contextlib.suppress(OSError):
            return await asyncio.open_connection("127.0.0.1", port)
        if process.returncode is not None:
            break
        await asyncio.sleep(0.02)
    raise RuntimeError(f"baresip did not come up:\n{_told(log)}")
