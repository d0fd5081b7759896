"""What a scrape collects."""

from pathlib import Path

from prometheus_client import REGISTRY, Gauge, Metric
from prometheus_client.samples import Sample

from messaging.scrape import SCRAPE, Scrape, watch_disk

DEPTH = Gauge("tidepool_tested_depth_requests", "A gauge that is read at each scrape.")


def values(scrape: Scrape) -> dict[str, float]:
    return {sample.name: sample.value for metric in scrape.collect() for sample in metric.samples}


def test_a_metric_is_read_when_it_is_scraped() -> None:
    scrape, depths = Scrape(), iter((3, 5))
    scrape.before(lambda: DEPTH.set(next(depths)))

    assert [values(scrape)["tidepool_tested_depth_requests"] for _ in range(2)] == [3, 5]


def test_a_metric_that_cannot_be_read_does_not_hide_the_others() -> None:
    scrape = Scrape()
    scrape.before(lambda: 1 / 0)
    scrape.before(lambda: DEPTH.set(7))

    assert values(scrape)["tidepool_tested_depth_requests"] == 7


def test_metrics_of_other_processes_are_merged() -> None:
    scrape = Scrape()
    other = Metric("tidepool_of_another_process", "A metric.", "gauge")
    other.samples.append(Sample("tidepool_of_another_process", {}, 2))
    scrape.merge_with(lambda metrics: [*metrics, other])

    assert values(scrape)["tidepool_of_another_process"] == 2


def test_the_free_space_of_a_folder_is_shown(tmp_path: Path) -> None:
    watch_disk("tested", tmp_path)
    SCRAPE.collect()

    free, size = (
        REGISTRY.get_sample_value(f"tidepool_disk_{name}_bytes", {"folder": "tested"}) for name in ("free", "size")
    )
    assert 0 < (free or 0) < (size or 0)
