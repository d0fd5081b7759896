"""The supervisor starts and drains replicas as the file of desired replicas changes."""

import json
import os
import signal
from pathlib import Path

import psutil

from tests.integration.tidepool.tiny_stack import CRASH, SLEEP, STUBBORN, eventually, plan, python
from tidepool.stack.pidfile import PidFile
from tidepool.stack.shared_files import save_desired
from tidepool.stack.stack import Stack
from tidepool.stack.status import status_of

LINGER = """
import pathlib, signal, sys, time
note = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: note.with_suffix(".sigterm").touch())
note.with_suffix(".up").touch()
while not note.exists():
    time.sleep(0.02)
sys.exit("ended with an error")
"""


def set_desired(stack: Stack, **indices: tuple[int, ...]) -> None:
    draft = stack.home.replicas_file.with_suffix(".draft")
    draft.write_text(json.dumps(indices))
    draft.replace(stack.home.replicas_file)


def states(stack: Stack) -> dict[str, str]:
    return {row.name: row.state for row in status_of(stack.home).components[1:]}


def pid_of(stack: Stack, name: str) -> int | None:
    process = PidFile(stack.home.pid(name)).process()
    return process.pid if process else None


def drain(stack: Stack, note: Path) -> int | None:
    """Start a stack with a worker that ends when the note exists, and drain the worker; return its pid."""
    stack.home.create()
    save_desired(stack.home.replicas_file, {"worker": 1})
    stack.up(lambda: plan(python("worker", LINGER, note, grace=60)))
    eventually(note.with_suffix(".up").exists)
    worker = pid_of(stack, "worker")
    set_desired(stack, worker=())
    eventually(note.with_suffix(".sigterm").exists)
    eventually(lambda: states(stack) == {"worker": "draining"})
    return worker


def up(stack: Stack, running: int, *, most: int = 3, code: str = SLEEP, **fields: object) -> None:
    """Start a stack with a worker of `most` replicas, `running` of which run at first."""
    stack.home.create()
    save_desired(stack.home.replicas_file, {"worker": running})
    stack.up(
        lambda: plan(*(python("worker", code, index=n + 1, **fields) for n in range(most)), python("other", SLEEP))
    )


def test_replicas_that_are_not_desired_do_not_delay_the_start(stack: Stack) -> None:
    up(stack, 1)
    assert states(stack) == {"worker": "ready", "worker-2": "stopped", "worker-3": "stopped", "other": "ready"}
    assert pid_of(stack, "worker-2") is None


def test_a_stack_can_start_with_zero_replicas(stack: Stack) -> None:
    up(stack, 0)
    assert set(states(stack).values()) == {"stopped", "ready"}


def test_replicas_start_and_stop_as_the_file_changes(stack: Stack) -> None:
    up(stack, 2)
    first = pid_of(stack, "worker")

    set_desired(stack, worker=(1, 3))
    eventually(
        lambda: states(stack) == {"worker": "ready", "worker-2": "stopped", "worker-3": "ready", "other": "ready"}
    )
    assert pid_of(stack, "worker") == first

    set_desired(stack, worker=())
    eventually(lambda: list(states(stack).values()) == ["stopped", "stopped", "stopped", "ready"])
    assert [pid_of(stack, name) for name in ("worker", "worker-2", "worker-3")] == [None] * 3
    assert pid_of(stack, "other")

    set_desired(stack, worker=(1,))
    eventually(lambda: states(stack)["worker"] == "ready")
    assert [row.restarts for row in status_of(stack.home).components] == [0] * 5


def test_a_draining_replica_finishes_its_work_and_is_not_restarted(stack: Stack, tmp_path: Path) -> None:
    # when a worker drains that ends only when its work is done
    note = tmp_path / "through"
    worker = drain(stack, note)

    # then
    assert pid_of(stack, "worker") == worker

    # and when it ends, even with an error
    note.touch()

    # then
    eventually(lambda: states(stack) == {"worker": "stopped"})
    assert pid_of(stack, "worker") is None


def test_a_draining_replica_that_is_desired_again_ends_first(stack: Stack, tmp_path: Path) -> None:
    note = tmp_path / "through"
    worker = drain(stack, note)

    # when
    set_desired(stack, worker=(1,))
    note.touch()

    # then
    eventually(lambda: pid_of(stack, "worker") not in {None, worker})
    assert not psutil.pid_exists(worker or 0)


def test_a_replica_that_outlives_its_grace_period_is_killed(stack: Stack) -> None:
    up(stack, 1, most=1, code=STUBBORN, grace=0.3)
    eventually(lambda: stack.home.log("worker").read_text() == "deaf\n")
    set_desired(stack, worker=())
    eventually(lambda: states(stack)["worker"] == "stopped")
    assert pid_of(stack, "worker") is None


def test_a_crashing_replica_stops_when_it_is_not_desired(stack: Stack) -> None:
    stack.home.create()
    save_desired(stack.home.replicas_file, {"worker": 1})
    crasher = python("worker", CRASH, index=2, probe="tcp://127.0.0.1:1")
    stack.up(lambda: plan(python("worker", SLEEP), crasher))
    set_desired(stack, worker=(1, 2))
    eventually(lambda: states(stack)["worker-2"] == "restarting")

    set_desired(stack, worker=(1,))

    eventually(lambda: states(stack)["worker-2"] == "stopped")
    assert pid_of(stack, "worker-2") is None


def test_a_killed_replica_that_is_desired_is_restarted(stack: Stack) -> None:
    up(stack, 2)
    worker = pid_of(stack, "worker-2")
    assert worker
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: pid_of(stack, "worker-2") not in {None, worker})
    assert not psutil.pid_exists(worker)


def test_stopped_replicas_are_shown_as_stopped_without_a_supervisor(stack: Stack) -> None:
    up(stack, 1, most=2)
    supervisor = PidFile(stack.home.pid("supervisor")).process()
    assert supervisor
    supervisor.kill()
    supervisor.wait()
    assert states(stack) == {"worker": "orphaned", "worker-2": "stopped", "other": "orphaned"}
