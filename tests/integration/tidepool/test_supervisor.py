"""The supervisor with real processes: start order, restarts, failures."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.tidepool.tiny_stack import CRASH, SLEEP, eventually, parent, plan, python
from tidepool.errors import StackFailed
from tidepool.stack.components import Component
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import marked
from tidepool.stack.shared_files import load_reports, save_desired
from tidepool.stack.stack import Stack
from tidepool.stack.status import status_of


def pid_of(stack: Stack, name: str) -> int | None:
    process = PidFile(stack.home.pid(name)).process()
    return process.pid if process else None


def test_every_process_has_a_pid_file_and_a_log(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", "print('hello', flush=True);" + SLEEP), python("worker", SLEEP, index=2)))
    assert psutil.Process(int(stack.home.pid("worker").read_text())).is_running()
    assert psutil.Process(int(stack.home.pid("worker-2").read_text())).is_running()
    assert psutil.Process(int(stack.home.pid("supervisor").read_text())).is_running()
    eventually(lambda: stack.home.log("worker").read_text() == "hello\n")


def test_a_killed_component_is_restarted(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", SLEEP)))
    first = pid_of(stack, "worker")
    assert first
    os.kill(first, signal.SIGKILL)
    eventually(lambda: pid_of(stack, "worker") not in {None, first})
    eventually(lambda: status_of(stack.home).components[1].state == "ready")
    assert status_of(stack.home).components[1].restarts == 1


def test_prometheus_gets_the_ports_of_the_replicas_that_run(stack: Stack) -> None:
    def targets() -> list[str]:
        return [entry["labels"]["replica"] for entry in json.loads(stack.home.targets_file.read_text())]

    def worker(index: int) -> Component:
        component = python("worker", SLEEP, index=index)
        return component.model_copy(update={"environment": {"TIDEPOOL_METRICS_PORT": str(15_000 + index)}})

    stack.home.create()
    save_desired(stack.home.replicas_file, {"worker": 1})
    stack.up(lambda: plan(worker(1), worker(2)))
    assert targets() == ["worker"]

    save_desired(stack.home.replicas_file, {"worker": 2})
    eventually(lambda: targets() == ["worker", "worker-2"])

    save_desired(stack.home.replicas_file, {"worker": 0})
    eventually(lambda: targets() == [])


def test_an_unwritable_disk_does_not_stop_the_supervisor(stack: Stack) -> None:
    stack.up(lambda: plan(python("worker", SLEEP)))
    first = pid_of(stack, "worker")
    assert first
    stack.home.state_file.unlink()
    stack.home.state_file.mkdir()  # writes to it fail
    os.kill(first, signal.SIGKILL)
    eventually(lambda: pid_of(stack, "worker") not in {None, first})
    stack.home.state_file.rmdir()
    eventually(lambda: stack.home.state_file.exists() and status_of(stack.home).components[1].restarts == 1)
    assert status_of(stack.home).supervised


def test_a_lost_or_damaged_report_file_is_rewritten(stack: Stack) -> None:
    # given a stack in which nothing changes
    stack.up(lambda: plan(python("worker", SLEEP)))
    reports = load_reports(stack.home.state_file)

    # when the file is damaged, then deleted
    stack.home.state_file.write_text("{")
    eventually(lambda: load_reports(stack.home.state_file) == reports)
    stack.home.state_file.unlink()

    # then
    eventually(stack.home.state_file.exists)
    assert load_reports(stack.home.state_file) == reports


def test_the_children_of_a_killed_component_are_killed(stack: Stack, tmp_path: Path) -> None:
    stack.up(lambda: plan(parent("worker", tmp_path / "note")))
    eventually((tmp_path / "note").exists)
    grandchild, worker = psutil.Process(int((tmp_path / "note").read_text())), pid_of(stack, "worker")
    assert worker
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)
    assert pid_of(stack, "worker") != worker


def test_a_crashing_component_fails_the_start_with_its_log(stack: Stack) -> None:
    with pytest.raises(StackFailed, match="crasher did not become ready") as failure:  # long before the limit
        stack.up(lambda: plan(python("worker", SLEEP), python("crasher", CRASH, probe="tcp://127.0.0.1:1")))
    assert "broken on purpose" in failure.value.log
    assert marked(stack.home) == []


def test_a_component_that_starts_slowly_fails_the_start_as_such(stack: Stack) -> None:
    with pytest.raises(StackFailed, match="worker was not ready within 5 s; if the machine is busy, try again"):
        stack.up(lambda: plan(python("worker", SLEEP, probe="tcp://127.0.0.1:1")), limit=5)
    assert marked(stack.home) == []


def test_a_missing_command_fails_the_start(stack: Stack) -> None:
    component = python("worker", SLEEP, probe="tcp://127.0.0.1:1").model_copy(update={"command": ("no-such-command",)})
    with pytest.raises(StackFailed, match="worker") as failure:
        stack.up(lambda: plan(component), limit=5)
    assert "no-such-command: No such file" in failure.value.log


def test_a_failed_init_is_not_repeated(stack: Stack, tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit('no way')"
    with pytest.raises(StackFailed, match="init") as failure:
        stack.up(lambda: plan(python("init", code, tmp_path / "runs", once=True), python("worker", SLEEP, stage=1)))
    assert (failure.value.log, (tmp_path / "runs").read_text()) == ("no way", "x")


def test_a_stage_starts_after_the_previous_one_has_finished(stack: Stack, tmp_path: Path) -> None:
    prepare = python("init", "import sys; open(sys.argv[1], 'w').close()", tmp_path / "done", once=True)
    check = "import os, sys; os.stat(sys.argv[1]);" + SLEEP
    assert stack.up(lambda: plan(python("worker", check, tmp_path / "done", stage=1), prepare))
    rows = {row.name: (row.state, row.restarts) for row in status_of(stack.home).components}
    assert rows == {"supervisor": ("ready", 0), "worker": ("ready", 0)}
