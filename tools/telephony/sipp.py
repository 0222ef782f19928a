"""sipp, the SIP test tool of Debian's ``sip-tester``, with the scenarios beside this file."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.ports import free_port
from tools.telephony.packets import Timed, write_pcap

__all__ = ["SCENARIOS", "SippRun", "run_sipp"]

SCENARIOS = Path(__file__).parent / "scenarios"

RECORDINGS = Path("/usr/share/sip-tester")
"""What sipp's own scenarios play."""


@dataclass(frozen=True)
class SippRun:
    """What sipp made of a scenario."""

    code: int
    """0: every call went as the scenario says."""
    log: str = field(repr=False)
    """Its errors, and the last messages."""


async def run_sipp(
    scenario: str,
    port: int,
    *,
    caller: str,
    media: Mapping[str, Sequence[Timed]] | None = None,
    values: Mapping[str, object] | None = None,
    calls: int = 1,
    at_once: int = 0,
    rate: float = 10,
    transport: str = "u1",
    address: str = "127.0.0.1",
    options: Sequence[str] = (),
    timeout: float = 30.0,
) -> SippRun:
    """Play a scenario against a server on this machine.

    Args:
        scenario: one of :data:`SCENARIOS`, without ``.xml``; or of sipp's own, ``-uac_pcap``.
        port: of the server.
        caller: who calls; the number of the call is put behind it: ``name-1``.
        media: packets by the names of the files that the scenario plays.
        values: what stands in the scenario as ``{name}``.
        at_once: calls that go on at a time; 0: all.
        rate: calls begun in a second.
        transport: ``u1`` (UDP) or ``t1`` (TCP).
        address: where it calls from.

    Raises:
        TimeoutError: sipp did not end; it has been killed.
    """
    with tempfile.TemporaryDirectory(prefix="sipp-") as name:
        folder = Path(name)
        for file, packets in (media or {}).items():
            write_pcap(folder / file, packets)
        if scenario.startswith("-"):
            which = ["-sn", scenario.removeprefix("-")]
            (folder / "pcap").symlink_to(RECORDINGS)
        else:
            text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
            for key, value in {"caller": caller, **(values or {})}.items():
                text = text.replace(f"{{{key}}}", str(value))
            (folder / "scenario.xml").write_text(text, encoding="utf-8")
            which = ["-sf", "scenario.xml"]
        command = [
            shutil.which("sipp") or "sipp", f"127.0.0.1:{port}", *which,
            "-i", address, "-mi", address, "-p", str(free_port(address)),
            "-m", str(calls), "-l", str(at_once or calls), "-r", str(rate), "-t", transport,
            "-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", "messages.log",
            "-nostdin", "-timeout", str(int(timeout)), "-timeout_error", "-recv_timeout", "12000",
            *options,
        ]  # fmt: skip
        return await _run(command, folder, timeout + 5)


async def _run(command: Sequence[str], folder: Path, timeout: float) -> SippRun:
    with (folder / "screen.log").open("wb") as screen:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=screen, stderr=screen,
            env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    told = [_tail(folder / name, size) for name, size in (("errors.log", 4_000), ("messages.log", 20_000))]
    if code not in (0, 1):
        told.append(_tail(folder / "screen.log", 2_000))
    return SippRun(code, "\n".join(told))


def _tail(path: Path, size: int) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[-size:] if path.exists() else ""
