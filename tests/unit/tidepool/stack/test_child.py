from pathlib import Path

from tidepool.stack.child import LARGEST_LOG, rotate


def test_a_large_log_is_put_aside_in_place_of_the_one_before(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_bytes(bytes(LARGEST_LOG + 1))
    (tmp_path / "redis.log.1").write_text("older")
    rotate(log)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"redis.log.1": LARGEST_LOG + 1}


def test_a_small_log_stays(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text("short")
    rotate(log)
    assert [path.name for path in tmp_path.iterdir()] == ["redis.log"]


def test_no_log_yet(tmp_path: Path) -> None:
    rotate(tmp_path / "redis.log")
    assert list(tmp_path.iterdir()) == []
