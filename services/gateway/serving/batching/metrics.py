"""The metrics of the batcher, and what they say of the versions of a model."""

import time
from collections import Counter as Totals
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Sample

from contract.access import DEFAULT_PROJECT
from contract.inference import Reply, Target
from messaging.tallied import TalliedHistogram
from messaging.version_labels import OTHER, version_labels
from services.gateway.serving.batching.request import Request

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LABELS = ["model", "version"]

QUEUE = TalliedHistogram(
    "tidepool_prediction_queue_seconds", "Time that a request waited for its batch to run.", _LABELS, buckets=_SECONDS
)
TOTAL = TalliedHistogram("tidepool_prediction_seconds", "Time from a request to its answer.", _LABELS, buckets=_SECONDS)
INFERENCE = Histogram(
    "tidepool_prediction_inference_seconds", "Time that the model took for a batch.", _LABELS, buckets=_SECONDS
)
SIZE = Histogram(
    "tidepool_prediction_batch_requests",
    "Requests that shared a batch.",
    _LABELS,
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
REFUSED = Counter("tidepool_predictions_refused_total", "Predictions refused because too many waited.", _LABELS)
WAITING = Gauge("tidepool_lane_waiting_requests", "Predictions that wait for a batch of their model version.", _LABELS)
IN_FLIGHT = Gauge("tidepool_lane_in_flight_requests", "Predictions in batches that are not answered yet.", _LABELS)
STARTED = datetime.now(UTC)  # the metrics of a process count from then


@dataclass(frozen=True)
class Answered:
    """The requests of one version since the gateway started: answered ones, refused ones, and seconds by quantile.

    A quantile is interpolated within its bucket, as Prometheus does it.
    """

    requests: int
    refused: int
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True)
class LaneMetrics:
    """The metrics of one model version, with their labels resolved once."""

    queue: Histogram
    total: Histogram
    inference: Histogram
    size: Histogram
    refused: Counter

    @classmethod
    def of(cls, target: Target) -> Self:
        labels = version_labels.of(target.label, target.version)
        queue, total, inference, size = (metric.labels(*labels) for metric in (QUEUE, TOTAL, INFERENCE, SIZE))
        return cls(queue, total, inference, size, REFUSED.labels(*labels))

    def landed(self, requests: list[Request], reply: Reply) -> None:
        """Record a batch that was answered just now, unless the sampler has sent it, whose requests travel alone."""
        if requests[0].for_review:
            return
        now, inference = time.perf_counter(), reply.inference_ms / 1e3
        self.inference.observe(inference)
        self.size.observe(len(requests))
        for request in requests:
            total = now - request.since
            self.total.observe(total)
            self.queue.observe(max(0.0, total - inference))


def show_lanes(lanes: Iterable[tuple[Target, int, int]]) -> None:
    """Set the waiting requests and those in flight of each version; a version may have several lanes."""
    waiting, in_flight = Totals[tuple[str, str]](), Totals[tuple[str, str]]()
    for target, its_waiting, its_in_flight in lanes:
        labels = (target.label, str(target.version))
        waiting[labels] += its_waiting
        in_flight[labels] += its_in_flight
    for gauge, totals in ((WAITING, waiting), (IN_FLIGHT, in_flight)):
        gauge.clear()
        for labels, count in totals.items():
            gauge.labels(*labels).set(count)


def answered(label: str) -> dict[int, Answered]:
    """Return what this gateway has answered for each version of a model; `label` is that of its targets."""
    buckets, refused = defaultdict[int, list[tuple[float, float]]](list), defaultdict[int, int](int)
    for sample in _samples(TOTAL, label, "_bucket"):
        buckets[int(sample.labels["version"])].append((float(sample.labels["le"]), sample.value))
    for sample in _samples(REFUSED, label, "_total"):
        refused[int(sample.labels["version"])] = int(sample.value)
    return {
        version: Answered(
            requests=int(max((count for _, count in buckets[version]), default=0)),
            refused=refused[version],
            p50_s=_quantile(buckets[version], 0.5),
            p99_s=_quantile(buckets[version], 0.99),
        )
        for version in sorted({*buckets, *refused})
    }


def answered_since_start() -> int:
    """Return how many requests this gateway has answered since it started."""
    (family,) = TOTAL.collect()
    return int(sum(sample.value for sample in family.samples if sample.name.endswith("_count")))


def answered_in(project: str) -> int:
    """Return how many requests this gateway has answered for the models of a project that have labels of their own."""
    (family,) = TOTAL.collect()
    counts = (one for one in family.samples if one.name.endswith("_count") and one.labels["model"] != OTHER)
    return int(sum(one.value for one in counts if _project_of(one.labels["model"]) == project))


def _project_of(label: str) -> str:
    """Return the project of a target's label."""
    project, slash, _ = label.partition("/")
    return project if slash else DEFAULT_PROJECT


def _samples(metric: Counter | Histogram, label: str, suffix: str) -> list[Sample]:
    (family,) = metric.collect()
    return [one for one in family.samples if one.name.endswith(suffix) and one.labels["model"] == label]


def _quantile(buckets: list[tuple[float, float]], share: float) -> float | None:
    """Return a quantile of a cumulative histogram, None without observations."""
    total = max((count for _, count in buckets), default=0.0)
    if not total:
        return None
    below, lower = 0.0, 0.0
    for upper, count in sorted(buckets):
        if count >= share * total:
            place = (share * total - below) / (count - below)
            return lower if upper == float("inf") else lower + (upper - lower) * place
        below, lower = count, upper
    return lower
