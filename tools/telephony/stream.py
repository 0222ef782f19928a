"""Cost of a packet of SIP media from its socket to its leg, decoding included, by how many are read in a
turn.

``python -m tools.telephony.stream``: a hundred streams on loopback get one packet each at a time, or a burst
of four; with and without another thread at work beside the event loop, as there is where models run. Only
the loop's own time counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np

from rtc_stt.audio import WINDOW, Origin, Samples
from rtc_stt.bench.result import provenance
from rtc_stt.instrument import Instrument
from signaling.media_turn import turn_of_loop
from signaling.telephony.sip import media_stream
from signaling.telephony.sip.digits import Press
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sdp import parse_description
from signaling.telephony.sip.sdp_answer import accept_stream

__all__ = ["main", "measure"]

BURSTS = (1, 4)
TURNS = (1, 16)


class CountingEar:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.samples = 0

    def receive_audio(self, samples: Samples, origin: Origin) -> None:
        """So much."""
        self.samples += len(samples)

    def receive_silence(self, samples: int, origin: Origin) -> None:
        """So much."""
        self.samples += samples

    def wants(self) -> int:
        """As a session does, which works on windows."""
        return WINDOW - self.samples % WINDOW

    def begin(self) -> None:
        """Nothing to count."""

    def press(self, press: Press) -> None:
        """Nobody presses anything."""

    def fail(self) -> None:
        """It must not."""
        raise AssertionError("a packet could not be handled")


@contextlib.contextmanager
def work(is_wanted: bool) -> Iterator[None]:
    """Another thread that has something to do, with the interpreter's lock and without."""
    over = threading.Event()

    def run() -> None:
        matrix = np.ones((300, 300), np.float32)
        while not over.is_set():
            matrix @ matrix

    thread = threading.Thread(target=run)
    if is_wanted:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if is_wanted:
            thread.join()


async def measure(streams: int, rounds: int, burst: int) -> float:
    """Microseconds of the loop's thread for a packet."""
    ports = RtpPorts("127.0.0.1", range(24_000, 26_000))
    turn = turn_of_loop()
    with contextlib.ExitStack() as stack:
        lines = []
        for _ in range(streams):
            phone = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            phone.bind(("127.0.0.1", 0))
            ear = CountingEar()
            stream = media_stream.MediaStream(ports.take(), ear, Instrument(), turn)
            stack.callback(stream.close)
            offer = f"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {phone.getsockname()[1]} RTP/AVP 0\r\n"
            accepted = accept_stream(parse_description(offer.encode()).streams[0])
            assert accepted
            stream.negotiate(accepted)
            lines.append((phone, ("127.0.0.1", stream.port), ear))
        spent = 0.0
        for start in range(0, rounds * burst, burst):
            for number in range(start, start + burst):
                head = bytes.fromhex("8000") + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big")
                for phone, to, _ in lines:
                    phone.sendto(head + b"\0\0\0\7" + bytes(160), to)
            begun = time.thread_time()
            # What completes no window may wait for more.
            while any(ear.samples < (start + burst) * 320 // WINDOW * WINDOW for _, _, ear in lines):
                await asyncio.sleep(0)
            spent += time.thread_time() - begun
    return spent / (streams * rounds * burst) * 1e6


def main() -> None:
    """Print all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    found = []
    for is_busy in (False, True):
        for turn in TURNS:
            for burst in BURSTS:
                with work(is_busy), patch.object(media_stream, "MAX_TURN", turn):
                    cost = asyncio.run(measure(options.streams, options.rounds, burst))
                found.append(
                    {
                        "read_in_a_turn": turn,
                        "burst": burst,
                        "others_at_work": is_busy,
                        "us_a_packet": round(cost, 1),
                    }
                )
    print(
        json.dumps({"measurement": "telephony_stream", "costs": found, "provenance": provenance()}, indent=1)
    )


if __name__ == "__main__":
    main()
