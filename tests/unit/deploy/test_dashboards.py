"""The dashboards are current, and every query works on metrics that exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.observability.dashboards import FOLDER, files
from tests.support.promql import Known
from tests.support.promtool import promtool
from tests.unit.docs.test_generated import generate

KNOWN = Known.of((row.name, row.kind, set(row.labels)) for row in generate.metrics())
DASHBOARDS = {path.stem: json.loads(text) for path, text in files().items()}
QUERIES = [
    (name, panel["title"], target["expr"], target["legendFormat"])
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
]


def test_the_dashboards_are_current() -> None:
    assert {path: path.read_text() for path in FOLDER.iterdir()} == files(), "run `make docs`"


def test_every_metric_and_label_of_a_query_exists() -> None:
    faults = {(name, title): KNOWN.faults(query) for name, title, query, _ in QUERIES}

    assert {place: found for place, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(rate(tidepool_no_such_total[1m]))", "no metric tidepool_no_such_total"),
        ('tidepool_queued_jobs{kind="train"}', "tidepool_queued_jobs has no label kind"),
        ("sum by (model) (tidepool_queued_jobs)", "no label model"),
        ("rate(tidepool_http_request_seconds[1m])", "no metric tidepool_http_request_seconds"),
    ],
)
def test_a_query_that_names_something_else_would_be_noticed(query: str, fault: str) -> None:
    assert KNOWN.faults(query) == [fault]


def test_promtool_accepts_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{index}", "expr": query.replace("$__rate_interval", "1m").replace("$model", ".*")}
        for index, (_, _, query, _) in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_every_legend_shows_what_tells_its_series_apart() -> None:
    for name, title, query, legend in QUERIES:
        grouped = {label for labels in re.findall(r"by \(([^)]*)\)", query) for label in labels.split(", ")} - {"le"}
        assert set(re.findall(r"{{(\w+)}}", legend)) == grouped, (name, title)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_data_sources_of_panels_are_provisioned() -> None:
    provisioned = yaml.safe_load((FOLDER.parent / "provisioning" / "datasources" / "tidepool.yml").read_text())

    named = {panel["datasource"]["uid"] for dashboard in DASHBOARDS.values() for panel in dashboard["panels"]}
    assert named <= {source["uid"] for source in provisioned["datasources"]}
