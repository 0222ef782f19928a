"""What Ray is told, and what is read from what it tells."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rtc_stt.config import Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas import application
from rtc_stt.replicas.plan import make_plans
from rtc_stt.replicas.settings import Replicas


def config(**settings: str) -> dict[str, Any]:
    told = {"CT2_SMALL_PATH": "small", "CT2_MEDIUM_PATH": "medium"} | settings
    values = Values({name: (value, "test") for name, value in told.items()})
    return application.make_config(make_plans(build(Decoding, values), build(Replicas, values)), 8000)


def replica(id_: str, state: str = "RUNNING") -> dict[str, Any]:
    return {"replica_id": id_, "state": state, "node_ip": "10.0.0.2", "pid": 17}


def deployment(
    target: int, *replicas: dict[str, Any], status: str = "HEALTHY", message: str = ""
) -> dict[str, Any]:
    return {"status": status, "message": message, "target_num_replicas": target, "replicas": list(replicas)}


def details(**deployments: dict[str, Any]) -> dict[str, Any]:
    """As Ray 2.60 tells them, cut to what is read."""
    deployments.setdefault("fast", deployment(1, replica("f1")))
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "0.0.0.0", "port": 9000},
        "proxies": {
            "n1": {"node_ip": "10.0.0.1", "status": "HEALTHY"},
            "n2": {"node_ip": "10.0.0.2", "status": "STARTING"},
        },
        "applications": {
            "rtc-stt": {
                "status": "RUNNING",
                "message": "",
                "last_deployed_time_s": 5.0,
                "deployed_app_config": config()["applications"][0],
                "source": "declarative",
                "deployments": deployments | {"directory": deployment(1, replica("d"))},
            }
        },
    }


def other(source: str = "declarative") -> dict[str, Any]:
    return {
        "status": "RUNNING",
        "source": source,
        "deployed_app_config": {"name": "chat", "import_path": "a:b"},
    }


# ── What is told ────────────────────────────────────────────────────────────


def test_numbers_are_told_apart_from_what_replicas_are_made_of() -> None:
    """For Serve starts all replicas anew where args, or the policy of scaling, change."""
    few, many = (config(FAST_REPLICAS=count, SCALE_UP_AUDIO_S=queued)["applications"][0]
                 for count, queued in (("1", "2"), ("2-9", "5")))  # fmt: skip
    assert few["args"] == many["args"]
    policies = [[d["autoscaling_config"]["policy"] for d in told["deployments"]] for told in (few, many)]
    assert policies[0] == policies[1]
    scaling = many["deployments"][0]["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"], scaling["target_ongoing_requests"]) == (
        2,
        9,
        5.0,
    )


def test_no_key_is_in_it() -> None:
    assert "KEY" not in str(config(WORKERS_DRAIN_S="7")).upper()


def test_applications_of_others_stay() -> None:
    found = details()
    found["applications"] |= {"chat": other(), "script": other("imperative")}
    told = application.with_application(config(), found)
    assert [one["name"] for one in told["applications"]] == ["chat", "rtc-stt"]
    assert told["http_options"]["port"] == 9000
    gone = application.without_tier(found, None)
    assert [one["name"] for one in gone["applications"]] == ["chat"]


def test_where_nothing_else_runs_the_configuration_is_ours() -> None:
    assert application.with_application(config(), {"applications": {}}) == config()


def test_a_drained_tier_keeps_its_deployment_and_has_no_replicas() -> None:
    found = details()
    before = copy.deepcopy(found)
    [told] = application.without_tier(found, Tier.ACCURATE)["applications"]
    assert found == before
    fast, accurate = told["deployments"]
    assert fast == found["applications"]["rtc-stt"]["deployed_app_config"]["deployments"][0]
    assert accurate["autoscaling_config"]["min_replicas"] == 0
    assert told["args"] == found["applications"]["rtc-stt"]["deployed_app_config"]["args"]


def test_what_is_not_there_cannot_be_drained() -> None:
    with pytest.raises(ConfigError, match="no decode workers"):
        application.without_tier({"applications": {}}, None)
    found = details()
    del found["applications"]["rtc-stt"]["deployed_app_config"]["deployments"][1]
    with pytest.raises(ConfigError, match="accurate"):
        application.without_tier(found, Tier.ACCURATE)


# ── What is read ────────────────────────────────────────────────────────────


def test_it_is_ready_when_all_that_are_wanted_decode() -> None:
    deployed = application.read_details(details(accurate=deployment(1, replica("a"))))
    assert deployed.is_ready
    assert [tier.tier for tier in deployed.tiers] == [Tier.FAST, Tier.ACCURATE]
    assert (deployed.http_port, deployed.hosts) == (9000, ("10.0.0.1",))
    assert application.progress(deployed) == "running, fast 1/1, accurate 1/1"


@pytest.mark.parametrize(
    "fast",
    [
        deployment(2, replica("a")),
        deployment(1, replica("a", "STARTING")),
        deployment(1, replica("a"), status="UPDATING"),
    ],
)
def test_and_not_before(fast: dict[str, Any]) -> None:
    assert not application.read_details(details(fast=fast)).is_ready


def test_what_ray_says_is_wrong_is_told_once_and_not_at_length() -> None:
    long = "x" * 10_000 + "ModelError: there is no model folder '/models/none'"
    found = details(fast=deployment(1, status="UNHEALTHY", message=long))
    found["applications"]["rtc-stt"] |= {"status": "DEPLOY_FAILED", "message": "it failed"}
    deployed = application.read_details(found)
    assert deployed.has_failed
    assert deployed.trouble.startswith("it failed\nfast: ")
    assert deployed.trouble.endswith("'/models/none'")
    assert len(deployed.trouble) < 2_100


def test_nothing_is_deployed() -> None:
    deployed = application.read_details({"applications": {}})
    assert (deployed.status, deployed.is_ready, deployed.tiers) == ("NOT_STARTED", False, ())
    assert application.status_lines(deployed, {}) == ["No decode workers are deployed there."]


@pytest.mark.parametrize(
    "answer", [{}, {"applications": []}, {"applications": {"rtc-stt": {}}}, {"applications": {"rtc-stt": 3}}]
)
def test_what_cannot_be_understood_is_said_to_be_so(answer: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Ray dashboard"):
        application.read_details(answer)


def test_the_table_has_what_each_has_to_do() -> None:
    deployed = application.read_details(details(accurate=deployment(0)))
    reports = application.read_reports(
        {
            "replicas": [
                {
                    "replica": {"id": "f1", "calls": 2, "draining": True},
                    "busy": 1,
                    "queued_audio_s": 0.25,
                    "links": 3,
                }
            ]
        }
    )
    first, head, row = application.status_lines(deployed, reports)
    assert first == "running, fast 1/1, accurate 0/0"
    assert head.split() == ["TIER", "STATE", "REPLICA", "NODE", "PID", "BUSY", "WAITING", "GATEWAYS"]
    assert row.split() == ["fast", "RUNNING", "f1", "10.0.0.2", "17", "1/2", "draining", "0.2", "s", "3"]
    assert application.status_json(deployed, reports)["tiers"]["fast"]["replicas"][0]["report"]["busy"] == 1
    assert application.read_reports({"error": "no"}) == {}
