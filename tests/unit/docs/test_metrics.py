"""Every metric is named as Prometheus names metrics, and says what it is."""

import re

from prometheus_client import REGISTRY, generate_latest

from tests.support.promtool import promtool
from tests.unit.docs.test_generated import generate

METRICS = generate.metrics()
COUNT_ENDS = ("_total", "_count", "_sum", "_bucket")


def test_every_metric_has_a_help_text() -> None:
    assert len(METRICS) > 40
    assert [row.name for row in METRICS if not re.fullmatch(r"[A-Z].{8,}", row.meaning)] == []


def test_every_metric_has_a_unit_and_a_process() -> None:
    assert [row.name for row in METRICS if row.unit is None or not row.processes] == []


def test_names_have_a_prefix_and_only_counters_end_like_counters() -> None:
    assert [row.name for row in METRICS if not re.fullmatch(r"tidepool_[a-z0-9_]+", row.name)] == []
    assert [row.name for row in METRICS if row.name.endswith("_total") != (row.kind == "counter")] == []
    assert [row.name for row in METRICS if row.kind != "counter" and row.name.endswith(COUNT_ENDS)] == []


def test_no_metric_is_declared_twice() -> None:
    names = [row.name for row in METRICS]

    assert sorted(set(names)) == names


def test_no_label_holds_an_id() -> None:
    assert [
        row.name for row in METRICS if {"job", "job_id", "request_id", "key", "project", "path"} & set(row.labels)
    ] == []


def test_promtool_accepts_all_metrics() -> None:
    for row in METRICS:  # a metric with labels has a line once they have values
        metric = REGISTRY._names_to_collectors[row.name]
        if row.labels:
            metric.labels(*row.labels)  # type: ignore[attr-defined]
    text = generate_latest(REGISTRY).decode()
    ours = "\n".join(line for line in text.splitlines() if "tidepool_" in line) + "\n"

    assert promtool("check", "metrics", text=ours) == ""
