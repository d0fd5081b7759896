"""A short run of everything at once, on SQLite and on PostgreSQL; TIDEPOOL_CHAOS_SECONDS and _SEED change it."""

import os
import random
from pathlib import Path

import pytest

from tests.faults.chaos import Plan, run
from tests.faults.report import Report

SECONDS = float(os.environ.get("TIDEPOOL_CHAOS_SECONDS", "40"))
SEED = int(os.environ.get("TIDEPOOL_CHAOS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_no_promise_is_broken_whatever_dies(dialect: str, tmp_path: Path) -> None:
    print(f"TIDEPOOL_CHAOS_SEED={SEED}, the history is in {tmp_path}")

    report = Report.of(run(Plan(dialect, seconds=SECONDS / 2, seed=SEED), tmp_path / "history.jsonl"))

    assert not report.broken, str(report)
    assert report.submitted > 0
    assert report.faults.total() > 0
