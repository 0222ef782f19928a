"""What one tier's replicas are, and how many of them there are where. Pure.

``rtc-stt workers deploy`` writes both. What they are (:class:`TierPlan`) is read in Ray, and changed by a
rolling update. It travels as ``args`` of a Serve application, where everybody who sees Ray's dashboard can
read it: no secret is in it, and replicas take ``WORKERS_KEY`` from the environment of their node. How many
there are (:class:`Placement`) is Serve's own business, and a change of it touches no replica that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from rtc_stt.config import ContextPolicy, Decoding
from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.settings import Replicas, read_ports, read_span

__all__ = ["ON_A_GPU", "ON_NODE", "Placement", "TierPlan", "make_plans", "read_args", "write_args"]

ON_NODE = "demo"
"""In place of a path: the model that ships with the package, wherever that is on a node."""

ON_A_GPU = 1.0
"""CPUs that a replica takes whose model is on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPlan:
    """See above."""

    tier: Tier
    path: str
    """Of the model, as the operator wrote it: a folder of each node, a name, a URL."""
    beam_size: int
    context_policy: ContextPolicy
    compute_type: str
    cpu_threads: int
    """Of one call."""
    calls: int
    """That a replica decodes at a time."""
    max_batch: int
    """Requests in one of them."""
    hang_s: float
    """A call that takes longer hangs."""
    device: str
    """``cpu`` or ``cuda``."""
    ports: str
    """See :func:`~rtc_stt.replicas.settings.read_ports`."""
    drain_s: float
    """How long a replica that is to go finishes what it has."""

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError(f"the plan of the {self.tier} tier names no model")
        counts = (self.calls, self.max_batch, self.cpu_threads, self.beam_size)
        if min(counts) < 1 or max(self.calls, self.max_batch) > 256:
            raise ConfigError(f"the plan of the {self.tier} tier has a number out of bounds")
        read_ports(self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """See above."""

    floor: int
    """Replicas, at least …"""
    ceiling: int
    """… and at most."""
    cpus: float
    """That one of them takes."""
    gpus: float
    """0: it decodes on CPU."""
    scale_up_audio_s: float
    scale_down_after_s: float
    surge: bool
    """See the configuration keys of these names."""

    def __post_init__(self) -> None:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigError(f"a replica takes a part of one GPU, or whole ones, and not {self.gpus:g}")


def make_plans(decoding: Decoding, replicas: Replicas) -> list[tuple[TierPlan, Placement]]:
    """From the configuration: the fast tier, and the accurate one if there is a model for it.

    Raises:
        ConfigError: there is no fast model.
    """
    if not decoding.small_path:
        raise ConfigError(
            "no model: set CT2_SMALL_PATH to a folder of the Ray nodes or to a name such as small, or try "
            "rtc-stt workers deploy --demo, which brings its own"
        )
    plans = [_plan(Tier.FAST, decoding.small_path, 1, replicas.fast, replicas.fast_gpus, decoding, replicas)]
    if decoding.medium_path:
        beam, count, gpus = decoding.beam_size, replicas.accurate, replicas.accurate_gpus
        plans.append(_plan(Tier.ACCURATE, decoding.medium_path, beam, count, gpus, decoding, replicas))
    return plans


def _plan(
    tier: Tier, path: str, beam: int, count: str, gpus: float, decoding: Decoding, replicas: Replicas
) -> tuple[TierPlan, Placement]:
    # Not one for each core, as in a gateway: nobody knows on which machine it will be.
    calls = decoding.max_concurrency or 1
    plan = TierPlan(
        tier=tier,
        path=path,
        beam_size=beam,
        context_policy=decoding.context_policy,
        compute_type=decoding.compute_type,
        cpu_threads=decoding.cpu_threads,
        calls=calls,
        max_batch=decoding.max_batch,
        hang_s=decoding.decode_hang_s,
        device="cuda" if gpus else "cpu",
        ports=replicas.ports,
        drain_s=replicas.drain_s,
    )
    floor, ceiling = read_span(f"{tier.upper()}_REPLICAS", count)
    placement = Placement(
        floor=floor,
        ceiling=ceiling,
        cpus=ON_A_GPU if gpus else float(calls * decoding.cpu_threads),
        gpus=gpus,
        scale_up_audio_s=replicas.scale_up_audio_s,
        scale_down_after_s=replicas.scale_down_after_s,
        surge=replicas.surge,
    )
    return plan, placement


def write_args(plans: list[TierPlan]) -> dict[str, Any]:
    """The ``args`` of the application: JSON."""
    return {"tiers": {plan.tier.value: _write(plan) for plan in plans}}


def _write(plan: TierPlan) -> dict[str, Any]:
    told = asdict(plan)
    del told["tier"]
    told["context_policy"] = plan.context_policy.value
    return told


def read_args(args: Mapping[str, Any]) -> list[TierPlan]:
    """And back.

    Raises:
        ConfigError: these are none; the message says what is wrong with them.
    """
    tiers = args.get("tiers")
    if not isinstance(tiers, Mapping) or not tiers:
        raise ConfigError("the args of this application hold no tiers: rtc-stt workers deploy writes them")
    return [_read(name, told) for name, told in tiers.items()]


def _read(name: str, told: Any) -> TierPlan:
    hints = get_type_hints(TierPlan)
    known = {field.name: hints[field.name] for field in fields(TierPlan) if field.name != "tier"}
    if not isinstance(told, Mapping) or set(told) != set(known):
        odd = sorted(set(known) ^ set(told)) if isinstance(told, Mapping) else []
        raise ConfigError(
            f"the plan of the {name} tier is of another version: {', '.join(map(str, odd))}. "
            "Deploy with the rtc-stt that the Ray nodes have."
        )
    try:
        return TierPlan(tier=Tier(name), **{key: _convert(kind, told[key]) for key, kind in known.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the plan of the {name} tier cannot be read: {error}") from None


def _convert(kind: Any, value: Any) -> Any:
    if kind is bool and not isinstance(value, bool):
        raise TypeError("true or false is wanted")
    return kind(value)
