"""The metrics of the batcher."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from contract.errors import Overloaded
from contract.inference import EncodedImage, Target
from messaging.version_labels import OTHER, VersionLabels
from services.gateway.serving.batching import metrics
from services.gateway.serving.batching.request import BatchedAnswer
from tests.unit.gateway.serving.batching.pool import ARTIFACT, PATIENCE_S, Pool, settled

pytestmark = pytest.mark.anyio

TARGET = Target("measured", 7, ARTIFACT)


def value(name: str) -> float:
    return REGISTRY.get_sample_value(name, {"model": "measured", "version": "7"}) or 0.0


async def test_batches_and_requests_are_counted() -> None:
    names = [
        f"tidepool_prediction_{name}_count"
        for name in ("seconds", "queue_seconds", "inference_seconds", "batch_requests")
    ]
    before = [*map(value, names), value("tidepool_prediction_inference_seconds_sum")]
    pool = Pool()

    pool.ask("one", TARGET)
    pool.ask("two", TARGET)
    await pool.reply(0)

    after = [*map(value, names), value("tidepool_prediction_inference_seconds_sum")]
    differences = [now - then for now, then in zip(after, before, strict=True)]
    assert differences == pytest.approx([2, 2, 1, 1, 0.0015])


async def test_refusals_are_counted() -> None:
    before = value("tidepool_predictions_refused_total")
    pool = Pool(waiting=1, flights=1)
    for text in ("in flight", "waiting"):
        pool.ask(text, TARGET)
        await settled()

    with pytest.raises(Overloaded):
        await pool.ask("too many", TARGET)

    assert value("tidepool_predictions_refused_total") == before + 1


async def test_copies_for_reviews_are_not_counted() -> None:
    names = ["seconds_count", "queue_seconds_count", "inference_seconds_count", "batch_requests_count"]
    names = [*(f"tidepool_prediction_{name}" for name in names), "tidepool_predictions_refused_total"]
    before = [*map(value, names)]
    pool = Pool(waiting=1, flights=1)
    asks = []
    for _ in range(3):
        asks.append(asyncio.create_task(pool.batcher.ask(TARGET, EncodedImage(b"image", copy=True), PATIENCE_S)))
        await settled()
    for number in range(2):
        await pool.reply(number)

    *answers, refusal = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [BatchedAnswer, BatchedAnswer]
    assert isinstance(refusal, Overloaded)
    assert [*map(value, names)] == before


async def test_many_versions_share_time_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "version_labels", VersionLabels(most=2))
    pool = Pool(flights=100)

    for number in range(1, 6):
        pool.ask("one", Target("crowd", number, ARTIFACT))
        await pool.reply(number - 1)

    counts = {
        labels: REGISTRY.get_sample_value(
            "tidepool_prediction_seconds_count", {"model": labels[0], "version": labels[1]}
        )
        for labels in (("crowd", "1"), ("crowd", "2"), ("crowd", "3"), (OTHER, ""))
    }
    assert counts == {("crowd", "1"): 1, ("crowd", "2"): 1, ("crowd", "3"): None, (OTHER, ""): 3}
    assert set(metrics.answered("crowd")) == {1, 2}
    before = metrics.answered_in(DEFAULT_PROJECT)
    pool.ask("more", Target("crowd", 6, ARTIFACT))
    await pool.reply(5)
    assert metrics.answered_in(DEFAULT_PROJECT) == before


async def test_the_load_of_a_lane_is_shown_and_gone_with_the_lane() -> None:
    def load() -> tuple[float, float]:
        pool.batcher.show_load()
        return value("tidepool_lane_waiting_requests"), value("tidepool_lane_in_flight_requests")

    pool = Pool(flights=1)
    pool.ask("in flight", TARGET)
    await settled()
    pool.ask("waiting", TARGET)
    await settled()
    assert load() == (1, 1)

    pool = Pool()
    assert load() == (0, 0)
    assert REGISTRY.get_sample_value("tidepool_lane_waiting_requests", {"model": "measured", "version": "7"}) is None
