"""A short run with random faults on SQLite and PostgreSQL; see TIDEPOOL_CHAOS_SECONDS and TIDEPOOL_CHAOS_SEED."""

import os
import random
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.chaos import Plan, run
from tests.faults.report import Report

DIALECTS = ("sqlite", "postgresql")
SECONDS = float(os.environ.get("TIDEPOOL_CHAOS_SECONDS", "24"))
SEED = int(os.environ.get("TIDEPOOL_CHAOS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Report]]:
    """The reports of both runs, which run in parallel as they mostly wait."""
    folder = tmp_path_factory.mktemp("histories")
    print(f"TIDEPOOL_CHAOS_SEED={SEED}, the histories are in {folder}")
    with ThreadPoolExecutor() as runs:
        return {dialect: runs.submit(_report, dialect, folder) for dialect in DIALECTS}


def _report(dialect: str, folder: Path) -> Report:
    return Report.of(run(Plan(dialect, seconds=SECONDS / 2, seed=SEED), folder / f"{dialect}.jsonl"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_guarantee_is_violated_under_random_faults(dialect: str, reports: dict[str, Future[Report]]) -> None:
    report = reports[dialect].result()

    assert not report.broken, str(report)
    assert report.submitted > 0
    assert report.faults.total() > 0
