"""The metrics of the batcher."""

import pytest
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from contract.errors import Overloaded
from contract.inference import Target
from messaging.version_labels import OTHER, VersionLabels
from services.gateway.serving.batching import metrics
from tests.unit.gateway.serving.batching.pool import ARTIFACT, Pool, settled

pytestmark = pytest.mark.anyio

TARGET = Target("measured", 7, ARTIFACT)


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"model": "measured", "version": "7"}) or 0.0


async def test_batches_and_requests_are_counted() -> None:
    names = [
        f"tidepool_request{name}_count" for name in ("_seconds", "_queue_seconds", "_inference_seconds", "_batch_size")
    ]
    before = [*map(value, names), value("tidepool_request_inference_seconds_sum")]
    pool = Pool()

    pool.ask("one", TARGET)
    pool.ask("two", TARGET)
    await pool.reply(0)

    after = [*map(value, names), value("tidepool_request_inference_seconds_sum")]
    differences = [now - then for now, then in zip(after, before, strict=True)]
    assert differences == pytest.approx([2, 2, 1, 1, 0.0015])


async def test_refusals_are_counted() -> None:
    before = value("tidepool_requests_refused_total")
    pool = Pool(waiting=1, flights=1)
    for text in ("in flight", "waiting"):
        pool.ask(text, TARGET)
        await settled()

    with pytest.raises(Overloaded):
        await pool.ask("too many", TARGET)

    assert value("tidepool_requests_refused_total") == before + 1


async def test_many_versions_share_time_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "version_labels", VersionLabels(most=2))
    pool = Pool(flights=100)

    for number in range(1, 6):
        pool.ask("one", Target("crowd", number, ARTIFACT))
        await pool.reply(number - 1)

    counts = {
        labels: REGISTRY.get_sample_value("tidepool_request_seconds_count", {"model": labels[0], "version": labels[1]})
        for labels in (("crowd", "1"), ("crowd", "2"), ("crowd", "3"), (OTHER, ""))
    }
    assert counts == {("crowd", "1"): 1, ("crowd", "2"): 1, ("crowd", "3"): None, (OTHER, ""): 3}
    assert set(metrics.answered("crowd")) == {1, 2}
    before = metrics.answered_in(DEFAULT_PROJECT)
    pool.ask("more", Target("crowd", 6, ARTIFACT))
    await pool.reply(5)
    assert metrics.answered_in(DEFAULT_PROJECT) == before
