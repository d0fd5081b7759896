"""The metrics of attempts are part of those of their replica."""

import multiprocessing
import pickle
from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric

from worker.attempt_metrics import AttemptMetrics, snapshot

EPOCHS = Counter("tidepool_tested_epochs_total", "Epochs.", ["kind"])


def process(epochs: int, loss: float = 0.0) -> list[Metric]:
    """Return the metrics of a process that has counted these."""
    registry = CollectorRegistry()
    Counter("tidepool_tested_epochs_total", "Epochs.", ["kind"], registry=registry).labels("train").inc(epochs)
    Histogram("tidepool_tested_epoch_seconds", "Time.", registry=registry, buckets=(1,)).observe(0.5)
    Gauge("tidepool_tested_loss_nats", "Loss.", registry=registry).set(loss)
    return list(registry.collect())


def value(metrics: Iterable[Metric], name: str) -> float | None:
    return next((sample.value for metric in metrics for sample in metric.samples if sample.name == name), None)


def test_the_counts_of_a_running_attempt_are_added_to_those_of_the_replica() -> None:
    attempts = AttemptMetrics()
    attempts.report(tuple(process(epochs=3)))
    attempts.report(tuple(process(epochs=4, loss=0.5)))  # replaces what it has reported before

    merged = attempts.merged_with(process(epochs=1))

    assert value(merged, "tidepool_tested_epochs_total") == 5
    assert value(merged, "tidepool_tested_epoch_seconds_count") == 2
    assert value(merged, "tidepool_tested_loss_nats") == 0.5


def test_counts_outlive_an_attempt_and_gauges_do_not() -> None:
    attempts = AttemptMetrics()
    for epochs in (3, 4):
        attempts.report(tuple(process(epochs, loss=0.5)))
        attempts.end()

    merged = attempts.merged_with([])

    assert value(merged, "tidepool_tested_epochs_total") == 7
    assert value(merged, "tidepool_tested_loss_nats") is None


def test_merging_leaves_the_metrics_of_attempts_as_they_are() -> None:
    attempts = AttemptMetrics()
    attempts.report(tuple(process(epochs=3)))

    for _ in range(2):
        assert value(attempts.merged_with(process(epochs=1)), "tidepool_tested_epochs_total") == 4


def test_a_snapshot_has_what_is_not_zero_and_fits_a_pipe() -> None:
    EPOCHS.labels("train").inc(2)

    metrics = pickle.loads(pickle.dumps(snapshot()))

    assert value(metrics, "tidepool_tested_epochs_total") == REGISTRY.get_sample_value(
        "tidepool_tested_epochs_total", {"kind": "train"}
    )
    assert all(any(sample.value for sample in metric.samples) for metric in metrics)
    assert all(metric.name.startswith("tidepool_") for metric in metrics)


def test_a_snapshot_comes_from_another_process() -> None:
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=_count, args=[theirs])
    child.start()

    assert (value(ours.recv(), "tidepool_tested_epochs_total") or 0) >= 11
    child.join()


def _count(pipe: object) -> None:
    EPOCHS.labels("train").inc(11)
    pipe.send(snapshot())  # type: ignore[attr-defined]
