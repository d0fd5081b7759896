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


def test_it_holds_the_number_and_nothing_else(file: PidFile) -> None:
    file.write(os.getpid())
    assert file.path.read_text() == f"{os.getpid()}\n"


def test_it_leads_to_the_process(file: PidFile) -> None:
    file.write(os.getpid())
    assert file.process() == psutil.Process()


def test_a_number_that_was_given_to_another_process_leads_nowhere(file: PidFile) -> None:
    file.write(os.getpid())
    os.utime(file.path, (0, psutil.Process().create_time() - 60))  # it was another process, a minute older
    assert file.process() is None


def test_a_process_that_ended_leads_nowhere(file: PidFile) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        file.write(process.pid)
        assert file.process() is not None
    assert file.process() is None


def test_a_zombie_leads_nowhere(file: PidFile) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    file.write(process.pid)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    assert file.process() is None
    process.wait()


@pytest.mark.parametrize("text", ["", "what?", "-5"])
def test_a_damaged_file_leads_nowhere(file: PidFile, text: str) -> None:
    file.path.write_text(text)
    assert file.process() is None


def test_no_file_leads_nowhere_and_can_be_removed(file: PidFile) -> None:
    file.remove()
    assert file.process() is None
