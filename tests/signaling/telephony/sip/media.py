"""A peer of a media stream: one socket that sends RTP, and a listener that notes what it hears."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rtc_stt.audio import Origin, Samples
from rtc_stt.instrument import Instrument
from signaling.telephony.sip.digits import Press
from signaling.telephony.sip.sdp import Stream
from signaling.telephony.sip.sdp_answer import Accepted, accept_stream
from tests.rtp import rtp
from tests.signaling.telephony.sip.test_sdp import only

LOUD = b"\x00" * 160
"""20 ms of µ-law at full scale."""


class Notes(Instrument):
    def __init__(self) -> None:
        self.datagrams: Counter[str] = Counter()
        self.packets: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def datagrams_refused(self, reason: str, count: int) -> None:
        self.datagrams[reason] += count

    def rtp_packets(self, result: str, count: int) -> None:
        self.packets[result] += count

    def phone_refused(self, reason: str) -> None:
        self.refused[reason] += 1


class FakeEar:
    def __init__(self) -> None:
        self.audio: list[Samples] = []
        self.origins: Counter[Origin] = Counter()
        self.begun = 0
        self.presses: list[Press] = []
        self.failed = 0

    def receive_audio(self, samples: Samples, origin: Origin) -> None:
        self.audio.append(samples)
        self.origins[origin] += len(samples)

    def receive_silence(self, samples: int, origin: Origin) -> None:
        self.audio.append(np.zeros(samples, np.float32))
        self.origins[origin] += samples

    def wants(self) -> int:
        return 0

    def begin(self) -> None:
        self.begun += 1

    def press(self, press: Press) -> None:
        self.presses.append(press)

    def fail(self) -> None:
        self.failed += 1

    @property
    def ms(self) -> float:
        return sum(map(len, self.audio)) / 16


class Peer:
    """Speaks µ-law to a port on loopback, a packet each time it is told to; what comes back it keeps."""

    def __init__(
        self, port: int, *, ssrc: int = 7, payload_type: int = 0, address: str = "127.0.0.1"
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.to = ("127.0.0.1", port)
        self.ssrc, self.payload_type = ssrc, payload_type
        self.sequence = self.clock = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def packet(self, payload: bytes = LOUD) -> bytes:
        made = rtp(self.sequence, self.clock, payload, payload_type=self.payload_type, ssrc=self.ssrc)
        self.sequence += 1
        self.clock += 160
        return made

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self.socket.sendto(packet, self.to)

    def speak(self, count: int = 1) -> None:
        self.send(*[self.packet() for _ in range(count)])

    def dial(self, digit: int, *, payload_type: int = 101) -> None:
        """A press of 100 ms, its last packet three times, among the numbers of the audio."""
        begun = self.clock
        for step in (1, 2, 3, 4, 5, 5, 5):
            event = bytes([digit, (0x80 if step == 5 else 0) | 10]) + (step * 160).to_bytes(2, "big")
            self.send(rtp(self.sequence, begun, event, payload_type=payload_type, ssrc=self.ssrc))
            self.sequence += 1
        self.clock = begun + 800

    def received(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(2_048))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.socket.close()


def accepted(stream: Stream) -> Accepted:
    found = accept_stream(stream)
    assert found
    return found


def offer(port: int, *lines: str, formats: str = "0 101", profile: str = "RTP/AVP") -> Accepted:
    """What a peer at this port on loopback offers."""
    return accepted(offered(port, lines, formats, profile))


def offered(port: int, lines: Sequence[str], formats: str, profile: str) -> Stream:
    return only(
        f"m=audio {port} {profile} {formats}",
        "c=IN IP4 127.0.0.1",
        "a=rtpmap:101 telephone-event/8000",
        *lines,
    )
