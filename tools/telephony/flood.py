"""Strangers flood the SIP port and a media port, for long, while somebody honest calls.

What the honest one notices, how late the server's loop was, what came back to the strangers, what it cost.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from tools.ingest.watch import Holdings, loop_lag, metric
from tools.telephony import strangers
from tools.telephony.ear import CallEar
from tools.telephony.honest import Honest
from tools.telephony.packets import load
from tools.telephony.sequence import CLIP, Answering, answering

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "floods of the SIP port and of a media port, beside an honest caller"

TEXT = "four eight six six"
UNLISTED = "127.0.0.2"
GROWTH_MIB = 24.0
"""What arenas of the allocator may keep of a storm."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much, how long."""
    parser.add_argument("--rate", type=int, default=5_000, help="datagrams a second (default: 5000)")
    parser.add_argument("--seconds", type=float, default=20, help="of each flood (default: 20)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    # Of a call that was let in by chance the BYE may be one datagram too many: its silence ends it.
    with answering(RTP_TIMEOUT_S="10") as answers:
        return asyncio.run(_measure(answers, options.rate, options.seconds))


async def _measure(answers: Answering, rate: int, seconds: float) -> dict[str, Any]:
    count, chance = round(rate * seconds), random.Random(8)
    begun = time.monotonic()
    async with CallEar(answers.url) as ear:
        honest = Honest(ear, answers.sip_port, load(CLIP), TEXT)
        await honest.call()
        base = Holdings.of(answers.server.pid, begun)
        plan: dict[str, Coroutine[Any, Any, Any]] = {
            "nothing": asyncio.sleep(seconds),  # what the others are compared with
            "requests of an unlisted address": strangers.over_udp(
                answers.sip_port, itertools.islice(_requests(), count), address=UNLISTED, rate=rate
            ),
            "broken messages of a listed address": strangers.over_udp(
                answers.sip_port, itertools.islice(_broken(chance), count), rate=rate, hangs_up=True
            ),
            "noise at the media ports": _noise(answers, chance, rate, seconds),
        }
        told = {name: await _phase(answers, honest, attack) for name, attack in plan.items()}
    await asyncio.sleep(40)  # calls that nobody acknowledged have 64 * T1
    after = Holdings.of(answers.server.pid, begun)
    refused = await metric(answers.url, "rtc_stt_phone_refused_total")
    return {
        "rate": rate,
        "phases": told,
        "calls": honest.calls,
        "calls_wrong": honest.wrong,
        "refused": refused,
        "base": base.to_json(),
        "after": after.to_json(),
        "marks": {
            "the honest one is understood": not honest.wrong,
            "an unlisted address gets no answer": not told["requests of an unlisted address"]["answers"],
            "refusals are counted": sum(refused.values()) > 0,
            "memory back to base": after.rss_mib <= base.rss_mib + GROWTH_MIB,
            "descriptors back to base": after.descriptors <= base.descriptors,
        },
    }


async def _phase(answers: Answering, honest: Honest, attack: Coroutine[Any, Any, Any]) -> dict[str, Any]:
    before = await loop_lag(answers.url)
    cpu, begun, calls = Holdings.of(answers.server.pid, 0).cpu_s, time.monotonic(), honest.calls
    exchange = await honest.during(attack)
    took = time.monotonic() - begun
    used = Holdings.of(answers.server.pid, 0).cpu_s - cpu
    found = exchange if isinstance(exchange, strangers.Exchange) else strangers.Exchange()
    return {
        "sent": found.sent,
        "answers": found.answers,
        "amplification": round(found.amplification, 3),
        "calls": honest.calls - calls,
        "cpu_percent": round(100 * used / took),
        "loop_lag": (await loop_lag(answers.url)).since(before).to_json(),
    }


def _requests() -> Iterator[bytes]:
    for number in itertools.count():
        method = ("INVITE", "OPTIONS", "REGISTER", "BYE")[number % 4]
        yield strangers.request(method, address=UNLISTED, port=5060, user=str(number))


def _broken(chance: random.Random) -> Iterator[bytes]:
    methods = ("INVITE", "OPTIONS", "BYE", "CANCEL", "ACK", "UPDATE", "INFO")
    for number in itertools.count():
        good = strangers.request(methods[number % len(methods)], address="127.0.0.1", port=5060)
        yield strangers.mutated(good, chance)


async def _noise(answers: Answering, chance: random.Random, rate: int, seconds: float) -> strangers.Exchange:
    """At the media port of a call of its own, which goes on as long."""
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "port"
        async with CallEar(answers.url) as ear:
            victim = Honest(ear, answers.sip_port, load(CLIP), TEXT, name="victim")
            calling = asyncio.create_task(victim.call("noted", ports=noted))
            while not (noted.exists() and noted.read_text().strip()):
                await asyncio.sleep(0.02)
            flood = strangers.noise(chance, round(rate * min(seconds, 2.0)))
            exchange = await strangers.over_udp(int(noted.read_text()), flood, rate=rate, linger_s=0)
            await calling
            assert not victim.wrong, victim.wrong
            return exchange
