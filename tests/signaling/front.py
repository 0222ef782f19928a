"""The gateway over HTTP in front of a host that only plays one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.handover import Handover
from signaling.app import create_app
from signaling.calls import Call, Connected, Fragment, Health, Keeper, Meter, Watcher
from signaling.metrics import Metrics
from signaling.page import About
from signaling.settings import Access, Server, WebRtc

KEY, OTHER_KEY = "a-key-of-sixteen-chars", "another-key-of-sixteen"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
OFFERS = {path.stem: path.read_bytes().decode() for path in (Path(__file__).parent / "offers").glob("*.sdp")}
OFFER = OFFERS["chromium-full"]
ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
    "m=audio 5000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 10.0.0.5\r\na=recvonly\r\na=mid:0\r\na=rtcp-mux\r\n"
    "a=candidate:1 1 udp 2130706431 10.0.0.5 5000 typ host\r\n"
    "m=application 5000 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 10.0.0.5\r\na=mid:1\r\n"
)


class FakeHost:
    """Answers every offer with the same, and remembers what it was asked."""

    def __init__(self) -> None:
        self.watch: Watcher | None = None
        self.meter: Meter | None = None
        self.keeper: Keeper | None = None
        self.adopted: list[tuple[str, Handover]] = []
        self.draining = False
        self.told = Health(ready=True, sessions=0, load="normal")
        self.fails: Exception | None = None
        self.answer = ANSWER
        self.calls: list[Call] = []
        self.fragments: list[tuple[str, Fragment]] = []
        self.further: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.expelled: list[tuple[str, str]] = []
        self.drained_for: list[float] = []
        self._numbers = itertools.count(1)

    def _fail(self) -> None:
        if self.fails:
            raise self.fails

    async def connect(self, call: Call) -> Connected:
        self.calls.append(call)
        self._fail()
        number = next(self._numbers)
        session = call.resume.token if call.resume else f"session-{number}"
        return Connected(f"peer-{number}", session, self.answer)

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        self._fail()
        self.fragments.append((peer_id, fragment))

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        self._fail()
        self.further.append((peer_id, sdp))
        return Connected(peer_id, "session", self.answer)

    async def disconnect(self, peer_id: str) -> None:
        self._fail()
        self.ended.append(peer_id)

    async def adopt(self, token: str, handover: Handover) -> None:
        self._fail()
        self.adopted.append((token, handover))

    def expel(self, session_id: str, code: str, message: str) -> None:
        self.expelled.append((session_id, code))

    async def drain(self, seconds: float) -> None:
        self.drained_for.append(seconds)

    def health(self) -> Health:
        return self.told

    def tell(self, session_id: str, what: str) -> None:
        """As the sessions do."""
        assert self.watch
        self.watch(session_id, what)

    def hear(self, session_id: str, seconds: float) -> None:
        """As the sessions do."""
        assert self.meter
        self.meter(session_id, seconds)


class Gateway:
    """A client of it, and what is behind it."""

    def __init__(self, client: TestClient, host: FakeHost) -> None:
        self.client = client
        self.host = host
        self.metrics = Metrics()

    async def offer(self, offer: str = OFFER, **headers: str) -> Any:
        return await self.client.post("/whip", data=offer, headers=SDP | headers)

    def refused(self, reason: str) -> float:
        """How often somebody was turned away for a reason."""
        return self.metrics.registry.get_sample_value("rtc_stt_rejected_total", {"reason": reason}) or 0.0


async def start(
    *, mode: str = "serve", access: dict[str, Any] | None = None, webrtc: WebRtc | None = None, **server: Any
) -> Gateway:
    host = FakeHost()
    metrics = Metrics()
    about = About(mode=mode, fast="tiny", accurate=None, languages=("en",))
    settings = Access(**({"rate_limit_burst": 1000} | (access or {})))
    app = create_app(host, Server(**server), settings, webrtc or WebRtc(), about, metrics)
    client = TestClient(TestServer(app))
    await client.start_server()
    gateway = Gateway(client, host)
    gateway.metrics = metrics
    return gateway


async def error_of(response: Any) -> dict[str, str]:
    body = (await response.json())["error"]
    assert set(body) == {"type", "message", "request_id"}
    assert body["request_id"] == response.headers["X-Req-Id"]
    assert response.headers["X-Error-Type"] == body["type"]
    assert response.headers["X-Error-Message"].isascii()
    return body
