"""The lean caller: what it says, and what it makes of answers."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rtp import parse_rtp
from tests.rtp import rtp
from tools.telephony.caller import Caller, CallFailed, left_at

ANSWER = """SIP/2.0 {status} Whatever\r
To: <sip:stt@127.0.0.1>;tag=theirs\r
Call-ID: {call_id}\r
CSeq: {cseq}\r
Contact: <sip:here@127.0.0.1:{port}>\r
\r
v=0\r
c=IN IP4 127.0.0.1\r
m=audio {media} RTP/AVP 0\r
"""


class Callee:
    """Answers whatever is asked, the second time that it is."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[str] = []
        self.sip, self.media = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        for sock in (self.sip, self.media):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(3)
        self.thread = threading.Thread(target=self.answer, daemon=True)
        self.thread.start()

    def answer(self) -> None:
        while True:
            try:
                data, source = self.sip.recvfrom(65_535)
            except OSError:
                return
            message = data.decode()
            self.asked.append(message)
            cseq = re.search(r"^CSeq: (.*)\r$", message, re.M)
            call_id = re.search(r"^Call-ID: (.*)\r$", message, re.M)
            assert cseq
            assert call_id
            if not cseq[1].endswith("ACK") and sum(cseq[1] in asked for asked in self.asked) > 1:
                for status in (100, self.status):
                    told = ANSWER.format(
                        status=status, call_id=call_id[1], cseq=cseq[1],
                        port=self.sip.getsockname()[1], media=self.media.getsockname()[1],
                    )  # fmt: skip
                    self.sip.sendto(told.encode(), source)

    def close(self) -> None:
        self.sip.close()
        self.media.close()


@pytest.fixture
def callee() -> Iterator[Callee]:
    made = Callee()
    yield made
    made.close()


@pytest.fixture
def caller(callee: Callee) -> Iterator[Caller]:
    made = Caller(callee.sip.getsockname())
    yield made
    made.close()


@pytest.mark.slow
def test_a_call_from_its_invite_to_its_bye(callee: Callee, caller: Caller) -> None:
    call = caller.call("somebody")
    begun = time.monotonic()
    assert caller.speak([call], [[b"a" * 160, b"b" * 160]], 0.1) == 5
    packets = [callee.media.recv(2_048) for _ in range(5)]
    caller.hang_up(call)
    kinds = [asked.split(" ")[0] for asked in callee.asked]
    assert kinds == ["INVITE", "INVITE", "ACK", "BYE", "BYE"]  # what is not answered is said again
    assert all("To: <sip:stt@127.0.0.1>;tag=theirs" in asked for asked in callee.asked[2:])
    heard = [parse_rtp(packet) for packet in packets]
    assert [packet.payload[:1] for packet in heard if packet] == [b"a", b"b", b"a", b"b", b"a"]
    steps = {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(heard) if a and b}
    assert steps == {160}
    left = [left_at(packet) for packet in packets]
    assert all(at is not None and begun < at < begun + 3 for at in left)


@pytest.mark.slow
def test_a_call_that_is_refused(callee: Callee, caller: Caller) -> None:
    callee.status = 486
    with pytest.raises(CallFailed, match="486"):
        caller.call("somebody")


@given(st.binary(max_size=60))
def test_any_packet_says_when_it_left_or_does_not(data: bytes) -> None:
    assert isinstance(left_at(data), float | None)


def test_other_packets_do_not_say_when_they_left() -> None:
    assert left_at(rtp(1, 2, bytes(160), payload_type=0)) is None
    assert left_at(rtp(1, 2, bytes(160), payload_type=0, extension=bytes(8))) is None
