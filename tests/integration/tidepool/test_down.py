"""Stopping a stack of real processes leaves nothing behind, whatever happened before."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.integration.tidepool.tiny_stack import SLEEP, STUBBORN, eventually, parent, plan, python
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import marked
from tidepool.stack.stack import Stack
from tidepool.stack.status import status_of

ORDERLY = """
import signal, sys
def leave(number, frame):
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2] + " ")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
print("listening", flush=True)
while True:
    signal.pause()
"""


def kill_supervisor(stack: Stack) -> None:
    supervisor = PidFile(stack.home.pid("supervisor")).process()
    assert supervisor
    supervisor.kill()
    supervisor.wait()


def test_down_leaves_no_process_and_no_pid_file(stack: Stack, tmp_path: Path) -> None:
    stack.up(lambda: plan(python("worker", SLEEP), parent("family", tmp_path / "note")))
    eventually((tmp_path / "note").exists)
    grandchild = psutil.Process(int((tmp_path / "note").read_text()))
    assert stack.down()
    assert marked(stack.home) == []
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE
    assert list(stack.home.run.glob("*.pid")) == []


def test_down_returns_false_when_nothing_runs(stack: Stack) -> None:
    assert not stack.down()


def test_a_component_that_ignores_sigterm_is_killed_after_its_grace(stack: Stack) -> None:
    stack.up(lambda: plan(python("deaf", STUBBORN, grace=0.1)))
    eventually(lambda: stack.home.log("deaf").read_text() == "deaf\n")
    stack.down()
    assert marked(stack.home) == []


def test_stages_stop_in_reverse_order(stack: Stack, tmp_path: Path) -> None:
    note = tmp_path / "order"
    stack.up(lambda: plan(*(python(f"at{n}", ORDERLY, note, n, stage=n) for n in range(3))))
    eventually(lambda: all(stack.home.log(f"at{n}").read_text() for n in range(3)))
    stack.down()
    assert note.read_text() == "2 1 0 "


def test_down_works_after_the_supervisor_was_killed(stack: Stack, tmp_path: Path) -> None:
    stack.up(lambda: plan(python("worker", SLEEP), parent("family", tmp_path / "note")))
    eventually((tmp_path / "note").exists)
    kill_supervisor(stack)
    assert [row.state for row in status_of(stack.home).components] == ["dead", "orphaned", "orphaned"]
    assert stack.down()
    assert marked(stack.home) == []


def test_down_finds_processes_whose_pid_files_are_gone(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", SLEEP)))
    kill_supervisor(stack)
    for file in stack.home.run.iterdir():
        file.unlink()
    assert stack.down()
    assert marked(stack.home) == []


def test_up_after_the_supervisor_was_killed_replaces_the_orphans(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", SLEEP)))
    orphan = PidFile(stack.home.pid("worker")).process()
    kill_supervisor(stack)
    assert stack.up(lambda: plan(python("worker", SLEEP)))
    assert orphan
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert len(marked(stack.home)) == 2


def test_only_one_of_two_concurrent_ups_starts_the_stack(stack: Stack) -> None:
    with ThreadPoolExecutor(2) as pool:
        ups = [pool.submit(stack.up, lambda: plan(python("worker", SLEEP))) for _ in range(2)]
        assert sorted(up.result() for up in ups) == [False, True]
    assert len(marked(stack.home)) == 2


def test_stacks_in_two_homes_are_independent(stack: Stack, tmp_path: Path) -> None:
    other = Stack(Home.at(tmp_path / "home-too"))
    stack.up(lambda: plan(python("worker", SLEEP)))
    other.up(lambda: plan(python("worker", SLEEP)))
    stack.down()
    assert len(marked(other.home)) == 2
    assert other.down()


def test_a_process_with_a_reused_pid_is_not_stopped(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", SLEEP)))
    kill_supervisor(stack)
    stack.home.pid("worker").write_text(f"{os.getpid()}\n")
    os.utime(stack.home.pid("worker"), (0, 0))
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)  # would end this test with KeyboardInterrupt
    try:
        stack.down()
    finally:
        signal.signal(signal.SIGTERM, old)
    assert marked(stack.home) == []
