"""The metrics of the batcher."""

import time
from dataclasses import dataclass
from typing import Self

from prometheus_client import Counter, Histogram

from contract.inference import Reply, Target
from services.gateway.serving.batching.request import Request

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LABELS = ["model", "version"]

QUEUE = Histogram(
    "tidepool_request_queue_seconds", "Time that a request waited for its batch to run.", _LABELS, buckets=_SECONDS
)
TOTAL = Histogram("tidepool_request_seconds", "Time from a request to its answer.", _LABELS, buckets=_SECONDS)
INFERENCE = Histogram(
    "tidepool_request_inference_seconds", "Time that the model took for a batch.", _LABELS, buckets=_SECONDS
)
SIZE = Histogram(
    "tidepool_request_batch_size", "Requests that shared a batch.", _LABELS, buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
REFUSED = Counter("tidepool_requests_refused_total", "Requests refused because too many waited.", _LABELS)


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
        labels = (target.label, str(target.version))
        queue, total, inference, size = (metric.labels(*labels) for metric in (QUEUE, TOTAL, INFERENCE, SIZE))
        return cls(queue, total, inference, size, REFUSED.labels(*labels))

    def landed(self, requests: list[Request], reply: Reply) -> None:
        """Record a batch that was answered just now."""
        now, inference = time.perf_counter(), reply.inference_ms / 1e3
        self.inference.observe(inference)
        self.size.observe(len(requests))
        for request in requests:
            total = now - request.since
            self.total.observe(total)
            self.queue.observe(max(0.0, total - inference))
