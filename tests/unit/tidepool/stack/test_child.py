from pathlib import Path

from tidepool.stack.child import MAX_LOG_BYTES, Backoff, rotate


def test_a_large_log_replaces_the_previous_rotated_log(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_bytes(bytes(MAX_LOG_BYTES + 1))
    (tmp_path / "redis.log.1").write_text("older")
    rotate(log)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"redis.log.1": MAX_LOG_BYTES + 1}


def test_a_small_log_is_not_rotated(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text("short")
    rotate(log)
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_rotating_a_missing_log_does_nothing(tmp_path: Path) -> None:
    rotate(tmp_path / "redis.log")
    assert list(tmp_path.iterdir()) == []


def test_the_restart_delay_doubles_up_to_30_s() -> None:
    backoff = Backoff()
    assert [backoff.delay(uptime=1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_restart_delay_never_overflows() -> None:
    backoff = Backoff()
    assert {backoff.delay(uptime=0) for _ in range(3000)} == {0.5, 1, 2, 4, 8, 16, 30}


def test_a_minute_of_uptime_resets_the_restart_delay() -> None:
    backoff = Backoff()
    delays = [backoff.delay(uptime) for uptime in (1, 1, 1, 60, 1)]
    assert delays == [0.5, 1, 2, 0.5, 1]
