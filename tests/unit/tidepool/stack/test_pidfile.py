import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tidepool.stack.pidfile import PidFile


@pytest.fixture
def file(tmp_path: Path) -> PidFile:
    return PidFile(tmp_path / "some.pid")


def test_the_file_holds_only_the_pid(file: PidFile) -> None:
    file.write(os.getpid())
    assert file.path.read_text() == f"{os.getpid()}\n"


def test_the_recorded_process_is_found(file: PidFile) -> None:
    file.write(os.getpid())
    assert file.process() == psutil.Process()


def test_a_reused_pid_is_not_found(file: PidFile) -> None:
    file.write(os.getpid())
    os.utime(
        file.path, (0, psutil.Process().create_time() - 60)
    )  # recorded for a process that started a minute earlier
    assert file.process() is None


def test_an_ended_process_is_not_found(file: PidFile) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        file.write(process.pid)
        assert file.process() is not None
    assert file.process() is None


def test_a_zombie_is_not_found(file: PidFile) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    file.write(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    assert file.process() is None
    process.wait()


@pytest.mark.parametrize("text", ["", "what?", "-5"])
def test_a_damaged_file_has_no_process(file: PidFile, text: str) -> None:
    file.path.write_text(text)
    assert file.process() is None


def test_a_missing_file_has_no_process_and_can_be_removed(file: PidFile) -> None:
    file.remove()
    assert file.process() is None
