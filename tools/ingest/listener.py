"""The receiving process of ``receive``: peers on one receive path, ``stock`` or ``own``.

Lines of JSON: it reads offers and prints answers; ``{"begin": …}`` starts the count of processor time,
``{"end": …}`` stops it and prints what was heard.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import SAMPLE_RATE, Origin, Samples
from rtc_stt.bench.result import rss_bytes
from rtc_stt.instrument import Instrument
from rtc_stt.media import MonoResampler
from signaling.receiver import AudioReceiver
from signaling.transport import Transport
from tools.ingest import opus
from tools.ingest.talker import left_at

__all__: list[str] = []

FRAME = SAMPLE_RATE * opus.FRAME_MS // 1000


class Ledger:
    """When which 20 ms of one stream left the sender, and when they were PCM."""

    def __init__(self) -> None:
        self.delays: dict[int, float] = {}
        self.origins = dict.fromkeys(Origin, 0)
        self._left: dict[int, float] = {}

    def came(self, packet: bytes) -> None:
        """An RTP packet, decrypted."""
        self._left[int.from_bytes(packet[4:8], "big") // opus.TIMESTAMPS] = left_at(packet)

    def heard(self, number: int) -> None:
        """The frame is PCM."""
        left = self._left.pop(number, None)
        if left is not None:
            self.delays[number] = time.monotonic() - left


class Stock:
    """aiortc as it is: a track, and a resampler to 16 kHz mono."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._task: asyncio.Task[None] | None = None
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("track", self._listen)

    async def answer(self, offer: str) -> str:
        """Answer, and note what comes."""
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        dtls: Any = self._connection.getTransceivers()[0].receiver.transport
        original = dtls._handle_rtp_data

        async def handle(data: bytes, arrival_time_ms: int) -> None:
            self._ledger.came(data)
            await original(data, arrival_time_ms)

        dtls._handle_rtp_data = handle
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

    def _listen(self, track: Any) -> None:
        self._task = asyncio.get_running_loop().create_task(self._pump(track))

    async def _pump(self, track: Any) -> None:
        resampler = MonoResampler()
        try:
            while True:
                frame = await track.recv()
                number = frame.pts // opus.TIMESTAMPS
                self._ledger.origins[Origin.RECEIVED] += len(resampler.push(frame))
                self._ledger.heard(number)
        except MediaStreamError:
            return

    def play_out(self) -> None:
        """What waits is lost, as ever."""

    async def close(self) -> None:
        """Let go."""
        await self._connection.close()


class Own:
    """Our transport and our receiver; it listens to the one and is the owner of the other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._position = self._next = 0
        self._transport = Transport(self, local=True)

    async def answer(self, offer: str) -> str:
        """Answer, and be ready for what comes."""
        answer = await self._transport.answer(offer)
        self._receiver = AudioReceiver(
            self._transport.codecs,
            self._deliver,
            instrument=Instrument(),
            local_ssrc=1,
            now=self._loop.time(),
        )
        self._loop.call_later(1, self._report)
        return answer

    def receive_rtp(self, packet: bytes) -> None:
        """See ``Listener``."""
        self._ledger.came(packet)
        self._receiver.receive_rtp(packet, self._loop.time())
        self._set_timer()

    def receive_rtcp(self, packet: bytes) -> None:
        """See ``Listener``."""
        self._receiver.receive_rtcp(packet, self._loop.time())

    def open_channel(self, channel: object) -> None:
        """See ``Listener``; the talker opens none."""

    def change_state(self, state: str) -> None:
        """See ``Listener``."""

    def refuse_message(self, reason: str) -> None:
        """See ``Listener``."""

    def violate(self, reason: str) -> None:
        """See ``Listener``."""

    def _deliver(self, samples: Samples, origin: Origin) -> None:
        self._ledger.origins[origin] += len(samples)
        self._position += len(samples)
        while (self._next + 1) * FRAME <= self._position:
            self._ledger.heard(self._next)
            self._next += 1

    def _set_timer(self) -> None:
        deadline = self._receiver.next_deadline()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._receiver.handle_timer(self._loop.time())
        self._set_timer()

    def _report(self) -> None:
        if report := self._receiver.report(self._loop.time()):
            self._transport.send_rtcp(report)
        self._loop.call_later(1, self._report)

    def play_out(self) -> None:
        """Wait for nothing more."""
        self._receiver.flush(self._loop.time())

    async def close(self) -> None:
        """Let go."""
        await self._transport.close()


PATHS: dict[str, type[Stock] | type[Own]] = {"stock": Stock, "own": Own}


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", choices=PATHS, required=True)
    path = PATHS[parser.parse_args().path]
    ears, ledgers = list[Stock | Own](), list[Ledger]()
    begun, waited = (0.0, 0.0), 0.0
    while True:
        message = json.loads(await asyncio.to_thread(sys.stdin.readline))
        if "offer" in message:
            ledgers.append(Ledger())
            ears.append(path(ledgers[-1]))
            print(json.dumps({"answer": await ears[-1].answer(message["offer"])}), flush=True)
        elif "begin" in message:
            begun, waited = (time.process_time(), time.monotonic()), _waited_for_a_core()
        else:
            break
    waited = _waited_for_a_core() - waited
    used, seconds = time.process_time() - begun[0], time.monotonic() - begun[1]
    await asyncio.sleep(message["end"])  # what is on its way still counts; it costs next to nothing
    for ear in ears:
        ear.play_out()
    told = {
        "cpu_percent": 100 * used / seconds,
        "waited_ms": 1000 * waited,
        "rss_mib": rss_bytes() / 2**20,
        "delays_ms": [
            [(number, round(1000 * delay, 2)) for number, delay in sorted(ledger.delays.items())]
            for ledger in ledgers
        ],
        "samples": {str(origin): sum(ledger.origins[origin] for ledger in ledgers) for origin in Origin},
    }
    print(json.dumps(told), flush=True)
    await asyncio.gather(*(ear.close() for ear in ears))


def _waited_for_a_core() -> float:
    """Seconds that the main thread was ready and others ran: what is late then is the machine's doing.

    0 where the system does not tell.
    """
    told = Path("/proc/self/schedstat")
    return int(told.read_text(encoding="ascii").split()[1]) / 1e9 if told.exists() else 0.0


if __name__ == "__main__":
    asyncio.run(_main())
