"""``GET /v1/sessions`` of a gateway that is alone: who may look, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtc_stt.errors import ConfigError
from rtc_stt.handover import Sheet
from signaling.calls import Caller
from signaling.key_file import name_of_digest, parse_keys
from signaling.keys import GATE
from tests.signaling.front import KEY, OTHER_KEY, Gateway, error_of, start


def begin(gateway: Gateway, *names: str, key: str | None = None) -> None:
    app = gateway.client.app
    assert app
    gate, keeper = app[GATE], gateway.host.keeper
    assert keeper
    key_id = gate.authority.identify(f"Bearer {key}").key_id if key else "open"
    for name in names:
        gate.door.adopt(Caller(key_id, "127.0.0.1"), name, 0.0)
        keeper.began(name, "digest", "webrtc")
        keeper.sheets({name: Sheet(seq=3, position=160, utterances=1, heard_s=1.5)})


async def test_an_operator_sees_all_and_another_key_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY} name=ops operator=yes\n{OTHER_KEY} name=acme\n")
    keys.chmod(0o600)
    gateway = await start(access={"api_keys_file": str(keys)})
    begin(gateway, "one", key=OTHER_KEY)
    gateway.host.tell("one", "lost")
    response = await gateway.client.get("/v1/sessions", headers={"Authorization": f"Bearer {KEY}"})
    told = await response.json()
    assert (response.status, told["scope"], told["next"]) == (200, "node", None)
    [session] = told["sessions"]
    assert 0 <= session.pop("age_s") < 60
    assert session == {
        "id": "one",
        "node": "",
        "key": "acme",
        "transport": "webrtc",
        "state": "waiting",
        "audio_seconds": 1.5,
    }
    refused = await gateway.client.get("/v1/sessions", headers={"Authorization": f"Bearer {OTHER_KEY}"})
    assert refused.status == 403
    assert "operator=yes" in (await error_of(refused))["message"]
    assert (await gateway.client.get("/v1/sessions")).status == 401
    gateway.host.tell("one", "ended")
    response = await gateway.client.get("/v1/sessions", headers={"Authorization": f"Bearer {KEY}"})
    assert (await response.json())["sessions"] == []
    await gateway.client.close()


async def test_pages_on_a_machine_of_ones_own() -> None:
    gateway = await start()
    begin(gateway, *(f"s{number}" for number in range(5)))
    seen, cursor, pages = list[str](), "0", 0
    while cursor is not None:
        told = await (await gateway.client.get(f"/v1/sessions?limit=2&cursor={cursor}")).json()
        seen += [session["id"] for session in told["sessions"]]
        cursor, pages = told["next"], pages + 1
    assert (sorted(seen), pages) == ([f"s{number}" for number in range(5)], 3)
    assert (await gateway.client.get("/v1/sessions?limit=2000")).status == 400
    await gateway.client.close()


async def test_an_open_server_that_others_reach_tells_nobody() -> None:
    gateway = await start(host="0.0.0.0", allow_open=True)
    assert (await gateway.client.get("/v1/sessions")).status == 403
    await gateway.client.close()


def test_who_is_an_operator_stands_in_the_file() -> None:
    ops, other = parse_keys(f"{KEY} operator=yes\n{OTHER_KEY} operator=no\n", "keys")
    assert (ops.operator, other.operator) == (True, False)
    assert ops.account.name == name_of_digest(KEY)
    with pytest.raises(ConfigError, match="keys:1: operator is yes or no"):
        parse_keys(f"{KEY} operator=1", "keys")
