import io
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Serving
from scaling.simulation.trace import Trace
from tidepool.simulate.bounds import WaitTarget
from tidepool.simulate.plot import draw
from tidepool.simulate.report import StudyReport
from tidepool.simulate.study import AT_MAX, FEWEST, RECOMMENDED, REQUESTED, Study, study
from tidepool.simulate.table import print_report

TRACE = Trace("half an hour", (0.0, 600.0, 660.0), (2.0, 100.0, 2.0), 1800.0)
POLICY = ScalingPolicy(min=0, max=6, idle_s=60, quiet_s=60, backlog_per_replica=16, utilization=0.7)


def run_study(wait_s: float = 1.0) -> Study:
    return study(TRACE, Serving(0.02, 3.0, 10.0), POLICY, WaitTarget(wait_s, 0.95), seed=0, price=0.5)


def printed(report: StudyReport, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(console, report)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_each_way_to_provision_is_a_row() -> None:
    report = run_study().report
    rows = {row.name: row for row in report.rows}
    assert list(rows) == [REQUESTED, RECOMMENDED, FEWEST, AT_MAX]
    assert (rows[REQUESTED].min, rows[REQUESTED].max) == (0, 6)
    assert (rows[AT_MAX].replica_hours, rows[AT_MAX].cost) == (pytest.approx(3.0), pytest.approx(1.5))
    assert rows[RECOMMENDED].p95_s is not None
    assert rows[RECOMMENDED].p95_s <= 1.0
    assert rows[RECOMMENDED].replica_hours < rows[FEWEST].replica_hours
    assert report.recommended is not None
    assert (report.recommended.min, report.recommended.max) == (rows[RECOMMENDED].min, rows[RECOMMENDED].max)


def test_without_bounds_that_meet_the_target_nothing_is_recommended() -> None:
    noisy = Trace("noisy", (0.0,), (100.0,), 600.0)
    report = study(noisy, Serving(0.02, 3.0, 10.0), POLICY, WaitTarget(0.0, 1.0), seed=0, price=1).report
    assert report.recommended is None
    assert [row.name for row in report.rows] == [REQUESTED, AT_MAX]
    assert "No bounds get 100% of the requests" in printed(report)


def test_the_table_and_the_recommendation() -> None:
    report = run_study().report
    text = printed(report)
    assert f"half an hour: {report.requests:,} requests in 0.5 h" in text
    assert "0 to 6" in text
    assert "For 95% of the requests to wait for 1.0 s at most: min" in text
    assert "fewer replica-hours than the fewest fixed replicas" in text


def test_a_share_is_not_rounded() -> None:
    report = run_study().report.model_copy(update={"wait_share": 0.999})
    assert "For 99.9% of the requests" in printed(report)


def test_a_narrow_terminal_truncates_no_number() -> None:
    report = run_study().report
    assert printed(report, width=60) == printed(report)


def test_the_plot_has_a_line_for_every_outcome() -> None:
    outcomes = run_study().outcomes
    drawing = ET.fromstring(draw("A <title>", outcomes))
    names = {"svg": "http://www.w3.org/2000/svg"}
    lines = drawing.findall("svg:polyline", names)
    texts = [text.text for text in drawing.findall("svg:text", names)]
    assert len(lines) == 1 + 2 * len(outcomes)
    assert {"A <title>", "requests/s", "replicas", "oldest wait, s", *outcomes} <= set(texts)
