"""The configuration of coturn, read by coturn: who may be relayed to, and who not."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun, turn

from signaling.ice import IceServers
from tests.e2e.conftest import required
from tools.ingest.relay import local_address

pytestmark = pytest.mark.e2e

DEPLOY = Path(__file__).parents[2] / "deploy"
INSIDE = (
    "127.0.0.1", "10.1.2.3", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1",
)  # fmt: skip


class Relay:
    """A coturn of ours, as compose starts it, but for its port."""

    def __init__(self, folder: Path) -> None:
        for name in ("prepare.sh", ".env.example"):
            (folder / name).write_bytes((DEPLOY / name).read_bytes())
        self.host = local_address()
        subprocess.run(["sh", str(folder / "prepare.sh"), self.host], check=True, capture_output=True)
        second = (folder / "secrets" / "turn.conf").read_text()
        self.secret = re.findall(r"static-auth-secret=(\S+)", second)[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((self.host, 0))
            self.port = probe.getsockname()[1]
        first = (DEPLOY / "coturn" / "turnserver.conf").read_text()
        own = re.sub(r"=/\w+/", f"={folder}/", first.replace("port=3478", f"port={self.port}"))
        self.file, self.log = folder / "turnserver.conf", folder / "log"
        self.file.write_text(own + second + f"listening-ip={self.host}\nrelay-ip={self.host}\n")

    async def allocate(self, user: str) -> Any:
        """A relay for a user, with credentials as our server gives them; aioice's client of it.

        Raises:
            stun.TransactionFailed: coturn refuses.
        """
        ice = IceServers([], [f"turn:{self.host}:{self.port}"], self.secret, 60)
        told = ice.told(user, time.time())[0]
        transport, _ = await turn.create_turn_endpoint(
            asyncio.DatagramProtocol,
            server_addr=(self.host, self.port),
            username=told.username,
            password=told.credential,
            transport="udp",
        )
        return transport._TurnTransport__inner_protocol

    async def opinion_of(self, peer: str) -> int:
        """0 where coturn relays to an address, else its error code."""
        inner = await self.allocate(f"who-asks-for-{peer.replace(':', '-')}")
        request = stun.Message(message_method=stun.Method.CREATE_PERMISSION, message_class=stun.Class.REQUEST)
        request.attributes["XOR-PEER-ADDRESS"] = (peer, 9)
        try:
            await inner.request_with_retry(request)
            return 0
        except stun.TransactionFailed as error:
            return int(error.response.attributes["ERROR-CODE"][0])
        finally:
            await inner.delete()


@pytest.fixture(scope="module")
def relay(turnserver: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    relay = Relay(tmp_path_factory.mktemp("coturn"))
    with relay.log.open("wb") as log:
        process = subprocess.Popen([turnserver, "-c", str(relay.file)], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.settimeout(0.1)
                asker.sendto(
                    bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)), (relay.host, relay.port)
                )
                try:
                    asker.recv(1000)
                    break
                except OSError:
                    assert process.poll() is None, relay.log.read_text()
        yield relay
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def turnserver() -> str:
    """The path of coturn."""
    return required("turnserver (coturn) on PATH", shutil.which("turnserver"))


def test_coturn_knows_every_line(relay: Relay) -> None:
    told = relay.log.read_text()
    assert not re.findall(r".*(?:Bad configuration|[Uu]nknown|unrecognized|CONFIG ERROR|deprecated).*", told)


async def test_the_server_beside_it_is_relayed_to_private_as_its_address_is(relay: Relay) -> None:
    assert await relay.opinion_of(relay.host) == 0


async def test_the_outside_is_relayed_to(relay: Relay) -> None:
    assert await relay.opinion_of("8.8.8.8") == 0


@pytest.mark.parametrize("peer", INSIDE)
async def test_what_is_private_is_not(relay: Relay, peer: str) -> None:
    assert peer != relay.host
    assert await relay.opinion_of(peer) == 403


async def test_one_key_has_so_many_and_no_more(relay: Relay) -> None:
    quota = int(re.findall(r"^user-quota=(\d+)", relay.file.read_text(), re.M)[0])
    mine = [await relay.allocate("many") for _ in range(quota)]
    with pytest.raises(stun.TransactionFailed) as failed:
        await relay.allocate("many")
    assert failed.value.response.attributes["ERROR-CODE"][0] == 486
    for inner in mine:
        await inner.delete()


async def test_without_the_secret_nobody_is_served(relay: Relay) -> None:
    right, relay.secret = relay.secret, "another"
    try:
        with pytest.raises(stun.TransactionFailed) as failed:
            await relay.opinion_of("8.8.8.8")
    finally:
        relay.secret = right
    assert failed.value.response.attributes["ERROR-CODE"][0] == 401
