"""The long timers of SIP at their true length: a call that outlives its session timer since it is refreshed,
one that is not and is hung up on (RFC 4028), one whose 200 is never acknowledged (RFC 3261 §13.3.1.4).

Takes about two minutes, for no session timer may be shorter than 90 s.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from tools.telephony.ear import CallEar
from tools.telephony.packets import length, load, speak
from tools.telephony.sequence import CLIP, Answering, answering
from tools.telephony.sipp import run_sipp

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "long calls of sipp: refreshed ones stay; expired and unacknowledged ones are hung up on"

EXPIRES_S = 90
"""The least that there is (RFC 4028 §4)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How long. A session is refreshed at half of its time; at two thirds of 90 s the server gives up
    (RFC 4028 §10)."""
    parser.add_argument(
        "--between", type=float, default=45, help="seconds between two refreshes (default: 45)"
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    with answering(SIP_SESSION_EXPIRES=str(EXPIRES_S), RTP_TIMEOUT_S="3600") as answers:
        return asyncio.run(_measure(answers, options.between))


async def _measure(answers: Answering, between_s: float) -> dict[str, Any]:
    packets = speak(load(CLIP))
    speech_ms = round(length(packets) * 1000) + 1_000
    values = {
        "speech_ms": speech_ms, "more_ms": speech_ms, "expires": EXPIRES_S,
        "between_ms": round(between_s * 1000), "patience_ms": (EXPIRES_S + 15) * 1000,
    }  # fmt: skip
    later = speak(load(CLIP), ssrc=2)
    how = {"media": {"speech.pcap": packets, "more.pcap": later}, "values": values, "timeout": 600.0}
    patient = ("-recv_timeout", str((EXPIRES_S + 20) * 1000))
    async with CallEar(answers.url) as ear:
        kept, lost, silent = await asyncio.gather(
            run_sipp("refresh", answers.sip_port, caller="kept", **how),  # type: ignore[arg-type]
            run_sipp("expires", answers.sip_port, caller="lost", options=patient, **how),  # type: ignore[arg-type]
            run_sipp("no_ack", answers.sip_port, caller="silent", timeout=60),
        )
        stayed, expired, unacked = [await ear.ended(f"{name}-1") for name in ("kept", "lost", "silent")]
    stayed_ms, expired_ms, unacked_ms = (
        call.of("call.ended")[0]["duration_ms"] for call in (stayed, expired, unacked)
    )
    return {
        "session_expires_s": EXPIRES_S,
        "refreshed": {"duration_ms": stayed_ms, "reason": stayed.reason, "text": stayed.text()},
        "not_refreshed": {"duration_ms": expired_ms, "reason": expired.reason},
        "not_acknowledged": {"duration_ms": unacked_ms, "reason": unacked.reason},
        "marks": {
            "the refreshed call outlived its timer": kept.code == 0 and stayed_ms > EXPIRES_S * 1000,
            "it was understood before and after": len(stayed.of("transcript.final")) == 2,
            "the other was hung up on in time": lost.code == 0
            and expired.reason == "session_expired"
            and expired_ms <= (EXPIRES_S + 1) * 1000,
            "who does not acknowledge was hung up on after 64 * T1": silent.code == 0
            and unacked.reason == "no_ack"
            and 31_500 < unacked_ms < 33_500,
        },
    }
