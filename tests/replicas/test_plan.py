"""From the configuration to what replicas are made of, and how many there are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtc_stt.config import ContextPolicy, Decoding
from rtc_stt.config_keys import Values, build
from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.plan import Placement, TierPlan, make_plans, read_args, write_args
from rtc_stt.replicas.settings import Replicas, read_ports, read_span


def plans(**settings: str) -> list[tuple[TierPlan, Placement]]:
    values = Values(
        {name: (value, "test") for name, value in ({"CT2_SMALL_PATH": "small"} | settings).items()}
    )
    return make_plans(build(Decoding, values), build(Replicas, values))


def test_one_model_is_one_tier() -> None:
    [(plan, placement)] = plans(FAST_REPLICAS="2-5", MAX_CONCURRENCY="3", CPU_THREADS="2")
    assert (plan.tier, plan.path, plan.beam_size, plan.calls, plan.device) == (
        Tier.FAST,
        "small",
        1,
        3,
        "cpu",
    )
    assert (placement.floor, placement.ceiling, placement.cpus, placement.gpus) == (2, 5, 6.0, 0.0)


def test_two_models_are_two_tiers_each_with_its_own_numbers() -> None:
    [_, (plan, placement)] = plans(
        CT2_MEDIUM_PATH="medium", ACCURATE_REPLICAS="3", ACCURATE_GPUS="0.5", BEAM_SIZE="4"
    )
    assert (plan.tier, plan.path, plan.beam_size, plan.device) == (Tier.ACCURATE, "medium", 4, "cuda")
    assert (placement.floor, placement.ceiling, placement.cpus, placement.gpus) == (3, 3, 1.0, 0.5)


def test_they_travel_as_json() -> None:
    told = [
        plan for plan, _ in plans(CT2_MEDIUM_PATH="medium", CONTEXT_POLICY="tight", WORKERS_PORTS="4000-4001")
    ]
    assert read_args(json.loads(json.dumps(write_args(told)))) == told
    assert told[0].context_policy is ContextPolicy.TIGHT


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CT2_SMALL_PATH": ""}, "CT2_SMALL_PATH"),
        ({"FAST_REPLICAS": "none"}, "FAST_REPLICAS: 'none'"),
        ({"FAST_REPLICAS": "0-2"}, "FAST_REPLICAS"),
        ({"ACCURATE_REPLICAS": "3-2"}, "ACCURATE_REPLICAS"),
        ({"FAST_GPUS": "1.5"}, "1.5"),
        ({"WORKERS_PORTS": "80-90"}, "WORKERS_PORTS"),
        ({"WORKERS_PORTS": "40100"}, "WORKERS_PORTS"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        plans(**settings)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda tier: tier.pop("calls"),
        lambda tier: tier.update(voice="loud"),
        lambda tier: tier.update(calls=0),
        lambda tier: tier.update(calls="many"),
        lambda tier: tier.update(path=""),
        lambda tier: tier.update(context_policy="none"),
        lambda tier: tier.update(ports="x"),
    ],
)
def test_args_of_another_version_or_that_are_none_are_refused(change: Any) -> None:
    args = write_args([plan for plan, _ in plans()])
    change(args["tiers"]["fast"])
    with pytest.raises(ConfigError):
        read_args(args)


@pytest.mark.parametrize(
    "args", [{}, {"tiers": {}}, {"tiers": []}, {"tiers": {"slow": {}}}, {"tiers": {"fast": 3}}]
)
def test_args_without_tiers_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        read_args(args)


def test_spans_and_ports() -> None:
    assert read_span("X", "3") == (3, 3)
    assert read_span("X", "1-4") == (1, 4)
    assert read_ports("") is None
    assert read_ports("40100-40199") == (40_100, 40_199)
