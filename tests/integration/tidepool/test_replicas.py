"""Replicas that come and go while the stack runs, as the file says."""

import json
import os
import signal
from pathlib import Path

import psutil

from tests.integration.tidepool.tiny_stack import CRASH, SLEEP, STUBBORN, eventually, plan, python
from tidepool.stack.pidfile import PidFile
from tidepool.stack.replicas import save_wanted
from tidepool.stack.stack import Stack
from tidepool.stack.status import status_of

LINGER = """
import pathlib, signal, sys, time
note = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: note.with_suffix(".told").touch())
note.with_suffix(".up").touch()
while not note.exists():
    time.sleep(0.02)
sys.exit("it goes, and badly")
"""


def want(stack: Stack, **indices: tuple[int, ...]) -> None:
    draft = stack.home.replicas_file.with_suffix(".draft")
    draft.write_text(json.dumps(indices))
    draft.replace(stack.home.replicas_file)


def states(stack: Stack) -> dict[str, str]:
    return {row.name: row.state for row in status_of(stack.home).components[1:]}


def pid_of(stack: Stack, name: str) -> int | None:
    process = PidFile(stack.home.pid(name)).process()
    return process.pid if process else None


def up(stack: Stack, running: int, *, most: int = 3, code: str = SLEEP, **fields: object) -> None:
    """A worker of which so many run at first."""
    stack.home.create()
    save_wanted(stack.home.replicas_file, {"worker": running})
    stack.up(
        lambda: plan(*(python("worker", code, index=n + 1, **fields) for n in range(most)), python("other", SLEEP))
    )


def test_those_that_are_not_wanted_do_not_hold_the_start_back(stack: Stack) -> None:
    up(stack, 1)
    assert states(stack) == {"worker": "ready", "worker-2": "stopped", "worker-3": "stopped", "other": "ready"}
    assert pid_of(stack, "worker-2") is None


def test_a_start_with_none(stack: Stack) -> None:
    up(stack, 0)
    assert set(states(stack).values()) == {"stopped", "ready"}


def test_they_come_and_go_as_the_file_says(stack: Stack) -> None:
    up(stack, 2)
    first = pid_of(stack, "worker")

    want(stack, worker=(1, 3))
    eventually(
        lambda: states(stack) == {"worker": "ready", "worker-2": "stopped", "worker-3": "ready", "other": "ready"}
    )
    assert pid_of(stack, "worker") == first

    want(stack, worker=())
    eventually(lambda: list(states(stack).values()) == ["stopped", "stopped", "stopped", "ready"])
    assert [pid_of(stack, name) for name in ("worker", "worker-2", "worker-3")] == [None] * 3
    assert pid_of(stack, "other")

    want(stack, worker=(1,))
    eventually(lambda: states(stack)["worker"] == "ready")
    assert [row.restarts for row in status_of(stack.home).components] == [0] * 5


def test_one_that_drains_may_take_its_time_and_is_not_started_again(stack: Stack, tmp_path: Path) -> None:
    # given one that goes when it is through with what it does
    note = tmp_path / "through"
    stack.home.create()
    save_wanted(stack.home.replicas_file, {"worker": 1})
    stack.up(lambda: plan(python("worker", LINGER, note, grace=60)))
    eventually(note.with_suffix(".up").exists)
    worker = pid_of(stack, "worker")

    # when
    want(stack, worker=())
    eventually(note.with_suffix(".told").exists)

    # then
    assert states(stack) == {"worker": "draining"}
    assert pid_of(stack, "worker") == worker

    # and when it goes, although it ends with an error
    note.touch()

    # then
    eventually(lambda: states(stack) == {"worker": "stopped"})
    assert pid_of(stack, "worker") is None


def test_one_that_drains_and_is_wanted_again_ends_first(stack: Stack, tmp_path: Path) -> None:
    # given
    note = tmp_path / "through"
    stack.home.create()
    save_wanted(stack.home.replicas_file, {"worker": 1})
    stack.up(lambda: plan(python("worker", LINGER, note, grace=60)))
    eventually(note.with_suffix(".up").exists)
    worker = pid_of(stack, "worker")
    want(stack, worker=())
    eventually(note.with_suffix(".told").exists)

    # when
    want(stack, worker=(1,))
    note.touch()

    # then
    eventually(lambda: pid_of(stack, "worker") not in {None, worker})
    assert not psutil.pid_exists(worker or 0)


def test_one_that_outlives_its_grace_is_killed(stack: Stack) -> None:
    up(stack, 1, most=1, code=STUBBORN, grace=0.3)
    eventually(lambda: stack.home.log("worker").read_text() == "deaf\n")
    want(stack, worker=())
    eventually(lambda: states(stack)["worker"] == "stopped")
    assert pid_of(stack, "worker") is None


def test_one_that_keeps_dying_rests_when_it_is_not_wanted(stack: Stack) -> None:
    stack.home.create()
    save_wanted(stack.home.replicas_file, {"worker": 1})
    crasher = python("worker", CRASH, index=2, probe="tcp://127.0.0.1:1")
    stack.up(lambda: plan(python("worker", SLEEP), crasher))
    want(stack, worker=(1, 2))
    eventually(lambda: states(stack)["worker-2"] == "restarting")

    want(stack, worker=(1,))

    eventually(lambda: states(stack)["worker-2"] == "stopped")


def test_a_wanted_one_that_is_killed_still_comes_back(stack: Stack) -> None:
    up(stack, 2)
    worker = pid_of(stack, "worker-2")
    assert worker
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: pid_of(stack, "worker-2") not in {None, worker})


def test_what_is_stopped_stays_stopped_in_the_eyes_of_all_without_a_supervisor(stack: Stack) -> None:
    up(stack, 1, most=2)
    supervisor = PidFile(stack.home.pid("supervisor")).process()
    assert supervisor
    supervisor.kill()
    supervisor.wait()
    assert states(stack) == {"worker": "orphaned", "worker-2": "stopped", "other": "orphaned"}
