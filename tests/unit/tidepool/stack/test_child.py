import errno
import shutil
from pathlib import Path

import pytest

from tidepool.stack.child import MAX_LOG_BYTES, Backoff, rotate, trim


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


def test_a_large_log_is_emptied_while_a_process_appends_to_it(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with log.open("ab", buffering=0) as output:
        output.write(b"x" * MAX_LOG_BYTES)
        trim(log)
        output.write(b"more\n")

        trim(log)
        output.write(b"last\n")

    assert (log.read_bytes(), (tmp_path / "gateway.log.1").stat().st_size) == (b"last\n", MAX_LOG_BYTES + 5)


def test_a_log_is_emptied_without_room_for_its_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "gateway.log"
    log.write_bytes(bytes(MAX_LOG_BYTES + 1))
    monkeypatch.setattr(shutil, "copyfile", disk_full)

    trim(log)

    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("gateway.log", 0)]


def disk_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


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
