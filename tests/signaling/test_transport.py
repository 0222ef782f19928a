"""One connection of aiortc and what we take from it; and the private names that this leans on."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from typing import Any

import aioice.ice
import aiortc.rtcsctptransport
import psutil
import pytest
from aiortc import RTCSessionDescription

from rtc_stt.errors import BadRequest, Unavailable, Unprocessable
from signaling import transport as module
from signaling.datagrams import GuardedSocket
from signaling.transport import MAX_CANDIDATES, Transport
from tests.line import Heard, a_line, an_offer, until

# ── The names that we lean on ────────────────────────────


async def test_the_private_names_of_aiortc_and_aioice_are_there():
    """Where this fails after an upgrade, look at the places that use the name before anything else."""
    async with a_line() as line:
        await line.connect()
        (transceiver,) = line.transport._connection.getTransceivers()
        dtls, sctp = transceiver.receiver.transport, line.transport._connection.sctp
        ice = dtls.transport._connection
        needed = {
            transceiver: ["_codecs"],
            dtls: ["_ssl", "_rx_srtp", "_tx_srtp", "_set_role", "_role"],
            dtls.transport: ["_connection", "addRemoteCandidate"],
            ice: ["_nominated", "_queue", "_remote_candidates", "_protocols", "get_component_candidates",
                  "data_received", "local_username", "remote_username", "local_candidates"],
            sctp: ["_advertised_rwnd", "_inbound_streams", "_last_received_tsn", "_sent_queue", "_srtt",
                   "_outbound_queue", "_data_channel_queue", "_data_channels", "_handle_data", "_send_chunk",
                   "_receive_data_chunk", "_receive_sack_chunk", "_receive_forward_tsn_chunk",
                   "_data_channel_receive"],
        }  # fmt: skip
        for part, names in needed.items():
            assert [name for name in names if not hasattr(part, name)] == [], type(part).__name__
        assert type(ice) is aioice.ice.Connection
        assert all(type(sock) is GuardedSocket for sock in ice._protocols), "ours, not aioice's own"
        assert set(ice._nominated) == {1}


SCTP = aiortc.rtcsctptransport.RTCSctpTransport


@pytest.mark.parametrize(
    ("owner", "name", "says"),
    [
        (aioice.ice.Connection, "recvfrom", "self._queue.get()"),
        (aioice.ice.Connection, "gather_candidates", "self.get_component_candidates(component=component,"),
        (aioice.ice.Connection, "request_received", "protocol.send_stun(response, addr)"),
        (aioice.ice.StunProtocol, "datagram_received", "self.receiver.data_received("),
        (aiortc.RTCPeerConnection, "_RTCPeerConnection__connect", "await transceiver.receiver.receive("),
        (aiortc.RTCDtlsTransport, "_recv_next", "await self._data_receiver._handle_data(data)"),
        (SCTP, "_receive", "await self._data_channel_receive("),
        (SCTP, "_receive_chunk", "await self._receive_data_chunk(chunk)"),
        (SCTP, "_receive_chunk", "await self._receive_sack_chunk(chunk)"),
        (SCTP, "_receive_chunk", "await self._receive_forward_tsn_chunk(chunk)"),
    ],
)  # fmt: skip
def test_what_we_replace_is_still_called_where_it_was(owner: type, name: str, says: str):
    assert says in " ".join(inspect.getsource(getattr(owner, name)).split())


# ── What goes through ────────────────────────────


async def test_media_comes_decrypted_and_nothing_of_aiortcs_own_reception_runs():
    async with a_line() as line:
        await line.connect()
        await until(lambda: len(line.heard.rtp) > 10 and line.heard.rtcp)
        assert {packet[1] & 0x7F for packet in line.heard.rtp} <= set(line.transport.codecs)
        assert line.transport.codecs[96].name == "opus"
        assert line.transport.codecs[96].clock_rate == 48_000
        assert {codec.name for codec in line.transport.codecs.values()} == {"opus", "G722", "PCMU", "PCMA"}
        (transceiver,) = line.transport._connection.getTransceivers()
        assert transceiver.receiver.track._queue.empty()
        assert not [t for t in threading.enumerate() if t.name == "audio-decoder"]
        assert line.transport.candidate_types is not None
        assert line.heard.states[-1] == "connected"
        assert not line.transport.take_refused()


async def test_rtcp_goes_out(monkeypatch: pytest.MonkeyPatch):
    async with a_line() as line:
        line.transport.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01")  # before there is anything: no harm
        await line.connect()
        got: list[bytes] = []

        async def note(data: bytes) -> None:
            got.append(data)

        dtls = line.client.getSenders()[0].transport
        monkeypatch.setattr(dtls, "_handle_rtcp_data", note)
        report = b"\x80\xc9\x00\x01\x00\x00\x00\x01"  # a receiver report without a block
        line.transport.send_rtcp(report)
        await until(lambda: report in got)


async def test_events_go_out_and_what_is_outstanding_goes_down_to_nothing():
    async with a_line() as line:
        await line.connect()
        got: list[str] = []
        line.channel.on("message", got.append)
        for number in range(50):
            line.heard.channels[0].send("x" * 1_000 + str(number))
        assert line.transport.outstanding_bytes > 40_000
        await until(lambda: len(got) == 50 and line.transport.outstanding_bytes == 0)
        assert 0 < line.transport.round_trip_s < 1


# ── Negotiation ────────────────────────────


async def test_the_answer_waits_for_the_handshake_unless_the_client_does():
    async with a_line() as line:
        await line.client.setLocalDescription(await line.client.createOffer())
        assert "a=setup:passive" in await line.transport.answer(line.client.localDescription.sdp)
    offer = (await an_offer()).replace("a=setup:actpass", "a=setup:passive")
    transport = Transport(Heard(), local=True)
    assert "a=setup:active" in await transport.answer(offer)
    await transport.close()


async def test_candidates_may_come_later():
    async with a_line() as line:
        await line.client.setLocalDescription(await line.client.createOffer())
        offer = line.client.localDescription.sdp
        candidates = re.findall(r"a=candidate:(.*)\r\n", offer)
        ufrag = re.search(r"a=ice-ufrag:(\S+)", offer).group(1)
        bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)
        answer = await line.transport.answer(bare)
        with pytest.raises(Unprocessable):
            await line.transport.add_candidates(candidates, ufrag + "x")
        with pytest.raises(BadRequest):
            await line.transport.add_candidates(["nonsense"], None)
        await line.transport.add_candidates(candidates[: len(candidates) // 2], ufrag)
        await line.client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: line.transport.state == "connected")


async def test_there_is_an_end_to_candidates():
    candidate = "1 1 udp 2130706431 192.0.2.{} 5000 typ host"
    async with a_line() as line:
        await line.client.setLocalDescription(await line.client.createOffer())
        bare = re.sub(r"a=candidate:.*\r\n", "", line.client.localDescription.sdp)
        await line.transport.answer(bare)
        many = [candidate.format(number) for number in range(1, MAX_CANDIDATES + 1)]
        await line.transport.add_candidates(many[:-1], None)
        with pytest.raises(BadRequest):
            await line.transport.add_candidates(many[:2], None)
        await line.transport.add_candidates(many[-1:], None)


async def test_a_further_offer_is_answered_where_it_changes_nothing_that_stands():
    async with a_line() as line:
        await line.connect()
        await line.client.setLocalDescription(await line.client.createOffer())
        again = line.client.localDescription.sdp
        answer = await line.transport.renegotiate(again)
        await line.client.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        for wrong in (
            again.replace("a=ice-ufrag:", "a=ice-ufrag:x"),
            again.replace("opus/48000/2", "G722/8000"),
            again[: again.index("m=application")],
            "v=0\r\n",
            "hello",
        ):
            with pytest.raises(Unprocessable):
                await line.transport.renegotiate(wrong)
        with pytest.raises(BadRequest):
            await line.transport.renegotiate("v=0\r\nm=audio x y z\r\n")
        count = len(line.heard.rtp)
        await until(lambda: len(line.heard.rtp) > count + 10)


@pytest.mark.parametrize("offer", ["", "hello", "v=0\r\nm=audio x y z\r\n", "v=0\r\n"])
async def test_an_offer_that_cannot_be_answered_leaves_nothing(offer: str):
    files, transport = psutil.Process().num_fds(), Transport(Heard(), local=True)
    with pytest.raises(BadRequest):
        await transport.answer(offer)
    assert psutil.Process().num_fds() == files
    assert not transport._gate or not transport._gate.sockets


async def test_without_a_free_port_there_is_no_answer(monkeypatch: pytest.MonkeyPatch):
    offer = await an_offer()
    loop = asyncio.get_running_loop()

    async def taken(*_: Any, **__: Any) -> None:
        raise OSError(98, "in use")

    monkeypatch.setattr(loop, "create_datagram_endpoint", taken)
    transport = Transport(Heard(), local=True)
    with pytest.raises(Unavailable):
        await transport.answer(offer)


async def test_the_loopback_interface_is_offered_by_a_local_server_only():
    offer = await an_offer()
    for local in (True, False):
        transport = Transport(Heard(), local=local)
        answer = await transport.answer(offer)
        assert (" 127.0.0.1 " in answer) is local
        await transport.close()


# ── The end ────────────────────────────


async def test_closing_leaves_no_socket_and_no_task():
    async with a_line() as warm_up:
        await warm_up.connect()
    before, files = asyncio.all_tasks(), psutil.Process().num_fds()
    async with a_line() as line:
        await line.connect()
        await line.transport.close()
        await line.transport.close()  # again: no harm
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() <= before
    assert psutil.Process().num_fds() <= files


@pytest.mark.parametrize("way", ["hangs", "raises"])
async def test_a_close_that_goes_wrong_leaves_nothing_either(monkeypatch, caplog, way):
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.1)

    async def hang() -> None:
        if way == "raises":
            raise KeyError("of aiortc")
        await asyncio.Event().wait()

    offer = await an_offer()
    before, files = asyncio.all_tasks(), psutil.Process().num_fds()
    transport = Transport(Heard(), local=True)
    await transport.answer(offer)  # now ICE checks in several tasks
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() > before
    monkeypatch.setattr(transport._connection, "close", hang)
    async with asyncio.timeout(2):
        await transport.close()
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() <= before
    assert psutil.Process().num_fds() == files
    assert "close" in caplog.text
