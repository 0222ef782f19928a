"""Metrics of several processes as one: what each has counted, sent as JSON, summed by name and labels.

A worker that is gone takes its gauges with it, but what it has counted stays in the sum: a counter that goes
down would look like a restart of everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Metric

__all__ = ["Figures", "Merged", "add", "lasting", "read", "take", "write"]

Labels = tuple[tuple[str, str], ...]
Figures = dict[tuple[str, str, str], dict[tuple[str, Labels], float]]
"""By family (name, help, type), then by sample (name, labels)."""

BORN = ("_created", "process_start_time_seconds")
"""Ends of samples that tell when something began: of several the earliest holds."""


def take(registry: CollectorRegistry) -> Figures:
    """What a registry holds now."""
    return {
        (metric.name, metric.documentation, metric.type): {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in metric.samples
        }
        for metric in registry.collect()
    }


def write(figures: Figures) -> list[Any]:
    """As JSON."""
    return [
        [*family, [[name, labels, value] for (name, labels), value in samples.items()]]
        for family, samples in figures.items()
    ]


def read(fields: Sequence[Any]) -> Figures:
    """And back.

    Raises:
        ValueError, TypeError: it is something else.
    """
    return {
        (str(name), str(help), str(kind)): {
            (str(sample), tuple((str(k), str(v)) for k, v in labels)): float(value)
            for sample, labels, value in samples
        }
        for name, help, kind, samples in fields
    }


def lasting(figures: Figures) -> Figures:
    """What stays true of a process that does not answer any more: counts, no states."""
    return {family: samples for family, samples in figures.items() if family[2] != "gauge"}


def add(many: Iterable[Figures]) -> Figures:
    """The sum."""
    total: Figures = {}
    for figures in many:
        for family, samples in figures.items():
            sums = total.setdefault(family, {})
            for sample, value in samples.items():
                if sample not in sums:
                    sums[sample] = value
                elif sample[0].endswith(BORN):
                    sums[sample] = min(sums[sample], value)
                else:
                    sums[sample] += value
    return total


class Merged:
    """A registry, as far as ``generate_latest`` needs one."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """The families."""
        for (name, help, kind), samples in self._figures.items():
            metric = Metric(name, help, kind)
            for (sample, labels), value in samples.items():
                metric.add_sample(sample, dict(labels), value)
            yield metric
