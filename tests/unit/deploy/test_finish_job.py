"""A replica that must go waits for its job, up to a limit."""

import subprocess
from pathlib import Path

from tests.support.deployment import BIN, script


def test_an_idle_replica_goes_at_once(tmp_path: Path) -> None:
    assert script("finish-job", "60", TIDEPOOL_SCRATCH=tmp_path).returncode == 0


def test_a_busy_replica_waits_for_its_job(tmp_path: Path) -> None:
    # given a job that runs
    attempt = tmp_path / "attempt-1"
    attempt.mkdir()
    with subprocess.Popen(
        [BIN / "finish-job", "60"], env={"PATH": "/usr/bin:/bin", "TIDEPOOL_SCRATCH": str(tmp_path)}
    ) as waiting:
        assert waiting.poll() is None

        # when it ends
        attempt.rmdir()

        # then so does the wait
        assert waiting.wait(10) == 0


def test_the_wait_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "attempt-1").mkdir()

    assert script("finish-job", "0", TIDEPOOL_SCRATCH=tmp_path).returncode == 0
