"""The metrics of attempts, which run in processes of their own, as part of those of their replica."""

import copy
import threading
from collections.abc import Iterable

from prometheus_client import REGISTRY, Metric
from prometheus_client.samples import Sample

PREFIX = "tidepool_"
COUNTS = {"counter", "histogram"}  # what outlives an attempt


def snapshot() -> tuple[Metric, ...]:
    """Return the metrics of this process that are not zero."""
    return tuple(
        metric
        for metric in REGISTRY.collect()
        if metric.name.startswith(PREFIX) and any(sample.value for sample in metric.samples)
    )


class AttemptMetrics:
    """The counts of all attempts of a replica, and the gauges of the one that runs.

    An attempt sends snapshots through its pipe. What it counted after the last one is lost if it is killed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[str, Metric] = {}
        self._running: tuple[Metric, ...] = ()

    def report(self, metrics: tuple[Metric, ...]) -> None:
        """Replace what the running attempt has reported."""
        with self._lock:
            self._running = metrics

    def end(self) -> None:
        """Keep the counts of the running attempt, and drop its gauges."""
        with self._lock:
            for metric in self._running:
                if metric.type in COUNTS:
                    _add(self._ended, metric)
            self._running = ()

    def merged_with(self, metrics: Iterable[Metric]) -> list[Metric]:
        """Return the replica's own metrics plus those of its attempts."""
        families: dict[str, Metric] = {}
        with self._lock:
            for metric in (*metrics, *self._ended.values(), *self._running):
                _add(families, metric)
        return list(families.values())


def _add(families: dict[str, Metric], metric: Metric) -> None:
    """Add the samples of a metric to those of the same name and labels."""
    total = families.get(metric.name)
    if total is None:
        total = families[metric.name] = copy.copy(metric)
        total.samples = list(metric.samples)
        return
    samples = {_key(sample): sample for sample in total.samples}
    for sample in metric.samples:
        before = samples.get(_key(sample))
        samples[_key(sample)] = sample if before is None else before._replace(value=before.value + sample.value)
    total.samples = list(samples.values())


def _key(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))
