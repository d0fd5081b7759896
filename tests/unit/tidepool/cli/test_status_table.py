import io
from pathlib import Path

import pytest
from rich.console import Console

from tidepool.cli.status_table import print_status
from tidepool.stack.status import Status, StatusRow


def printed(status: Status) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_status(console, status)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def row(log: Path, **fields: object) -> StatusRow:
    return StatusRow.model_validate({"name": "redis", "role": "redis", "state": "ready", "log": str(log)} | fields)


def test_a_stack_that_is_down_shows_how_to_start_it() -> None:
    assert "make up" in printed(Status(url=None, supervised=False, components=()))


def test_each_process_is_a_line() -> None:
    redis = row(Path.cwd() / "home" / "redis.log", pid=42, restarts=3, uptime_s=7200.0, memory_bytes=5 << 20)
    text = printed(Status(url="http://127.0.0.1:8080", supervised=True, components=(redis,)))
    assert text.splitlines()[-1].split() == ["redis", "42", "ready", "3", "2.0", "h", "5", "MiB", "home/redis.log"]


@pytest.mark.parametrize(("seconds", "text"), [(59.4, "59 s"), (600.0, "10 min"), (5400.0, "1.5 h")])
def test_uptime_has_a_fitting_unit(seconds: float, text: str, tmp_path: Path) -> None:
    assert text in printed(Status(url="", supervised=True, components=(row(tmp_path, uptime_s=seconds),)))


def test_a_killed_supervisor_is_reported(tmp_path: Path) -> None:
    assert "was killed" in printed(Status(url="", supervised=False, components=(row(tmp_path, state="orphaned"),)))


def test_stopped_replicas_share_a_line(tmp_path: Path) -> None:
    stopped = [row(tmp_path, name=f"{role}-{n}", role=role, state="stopped") for role in ("a", "b") for n in (2, 3)]
    text = printed(
        Status(url="", supervised=True, components=(row(tmp_path), *stopped, row(tmp_path, state="draining")))
    )
    assert "2 of a, 2 of b" in text
    assert ("a-2" in text, "draining" in text) == (False, True)
