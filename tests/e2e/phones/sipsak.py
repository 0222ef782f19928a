"""sipsak, which asks a SIP server one thing, or floods it."""

from __future__ import annotations

import asyncio

__all__ = ["sipsak"]


async def sipsak(port: int, *options: str, user: str = "stt", timeout: float = 10.0) -> int:
    """Its exit code: 0 where the answer was a success.

    Raises:
        TimeoutError: it did not end; it has been killed.
    """
    process = await asyncio.create_subprocess_exec(
        "sipsak", *options, "-s", f"sip:{user}@127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
