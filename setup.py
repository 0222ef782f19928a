"""What is not in pyproject.toml: where ``RTC_STT_COMPILE=1`` is set, what runs with each packet, window and
partial is compiled by mypyc (``docs/guides/compiled.md``). The modules stay what they are, typed Python."""

import os
import sys
from typing import Any

from setuptools import setup

COMPILED = [
    "rtc_stt/audio.py",
    "rtc_stt/commit.py",
    "rtc_stt/companding.py",
    "rtc_stt/decode_pool.py",
    "rtc_stt/decode_queue.py",
    "rtc_stt/delivery.py",
    "rtc_stt/endpointer.py",
    "rtc_stt/finalizer.py",
    "rtc_stt/gaps.py",
    "rtc_stt/guard.py",
    "rtc_stt/inbox.py",
    "rtc_stt/polyphase.py",
    "rtc_stt/recognizer.py",
    "rtc_stt/replicas/choice.py",
    "rtc_stt/replicas/errands.py",
    "rtc_stt/replicas/payload.py",
    "rtc_stt/segment.py",
    "rtc_stt/session.py",
    "rtc_stt/session_stats.py",
    "rtc_stt/session_trail.py",
    "rtc_stt/stabilizer.py",
    "rtc_stt/token_bucket.py",
    "rtc_stt/utterance.py",
    "rtc_stt/vad/batcher.py",
    "rtc_stt/vad/board.py",
    "rtc_stt/vad/process.py",
    "signaling/codecs/g711.py",
    "signaling/codecs/repetition.py",
    "signaling/jitter.py",
    "signaling/media_turn.py",
    "signaling/receiver.py",
    "signaling/rtp.py",
    "signaling/telephony/call_events.py",
    "signaling/telephony/leg.py",
    "signaling/telephony/leg_clock.py",
    "signaling/telephony/sip/latch.py",
    "signaling/telephony/sip/media_stream.py",
    "signaling/telephony/sip/sip_line.py",
]


CHOSEN = os.environ.get("RTC_STT_COMPILE", "")
"""1 for all of them; or some, with commas between."""


def _extensions() -> list[Any]:
    if not CHOSEN or "egg_info" in sys.argv:  # pip asks what it takes to build, and has no mypy yet
        return []
    from mypyc.build import mypycify

    return list(
        mypycify(COMPILED if CHOSEN == "1" else CHOSEN.split(","), group_name="rtc_stt", debug_level="0")
    )


setup(ext_modules=_extensions(), setup_requires=["mypy>=1.13"] if CHOSEN else [])
