"""The checks of a stack's files and processes"""

import os
from pathlib import Path

import pytest

from contract.health import Check, Level
from contract.supervision import ComponentReport, State
from tidepool.doctor import local_stack
from tidepool.doctor.local_stack import file_checks, process_checks
from tidepool.stack.components import Component, StackPlan
from tidepool.stack.files import write_private
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.shared_files import save_reports
from tidepool.stack.supervisor import NAME as SUPERVISOR


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The home of a stack of a gateway and two replicas, whose processes are this one."""
    home = Home.at(tmp_path / "home")
    home.create()
    write_private(home.key_file, "tp_key")
    roles = (("gateway", 1), ("inference", 1), ("inference", 2))
    plan = StackPlan(
        url="http://127.0.0.1:1",
        components=tuple(Component(role=role, index=index, stage=0, command=("true",)) for role, index in roles),
    )
    plan.save(home.plan_file)
    PidFile(home.pid(SUPERVISOR)).write(os.getpid())
    return home


def report(home: Home, gateway: State, *, restarts: int = 0) -> None:
    states = {"gateway": gateway, "inference": State.READY, "inference-2": State.STOPPED}
    save_reports(
        home.state_file,
        [ComponentReport(name=name, role=name, state=state, restarts=restarts) for name, state in states.items()],
    )


def by_name(home: Home) -> dict[str, Check]:
    return {check.name: check for check in process_checks(home)}


def test_files_that_only_the_owner_reads_are_fine(home: Home) -> None:
    assert [check.level for check in file_checks(home)] == [Level.OK]


def test_a_key_that_others_can_read_is_a_problem(home: Home) -> None:
    home.key_file.chmod(0o644)

    (check,) = file_checks(home)

    assert check.level is Level.PROBLEM
    assert f"chmod go= {home.key_file}" in (check.advice or "")


def test_files_of_another_user_are_a_problem(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_stack.os, "geteuid", lambda: 12345)

    (check,) = file_checks(home)

    assert (check.name, check.level) == ("owner", Level.PROBLEM)


@pytest.mark.parametrize("path", [".", "run", "data", "data/redis", "run/plan.json"])
def test_what_another_user_keeps_to_themselves_is_a_problem(
    home: Home, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    locked = home.path / path
    (home.data / "redis").mkdir()
    monkeypatch.setattr(local_stack.os, "access", lambda path, right: path != locked or right == os.F_OK)

    (check,) = [*file_checks(home), *process_checks(home)]

    assert (check.name, check.level) == ("owner", Level.PROBLEM)
    assert f"{locked} belongs to another user" in check.message
    assert "TIDEPOOL_HOME" in (check.advice or "")


def test_a_folder_without_a_stack_has_no_checks(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "none")

    assert [*file_checks(home), *process_checks(home)] == []


def test_processes_that_run_are_fine_and_stopped_replicas_are_counted(home: Home) -> None:
    report(home, State.READY)

    checks = by_name(home)

    assert {name: check.level for name, check in checks.items()} == {
        "gateway": Level.OK,
        "inference": Level.OK,
        "stopped": Level.OK,
    }


def test_a_process_that_starts_again_and_again_is_told_with_its_log(home: Home) -> None:
    report(home, State.RESTARTING)
    assert by_name(home)["gateway"].level is Level.WARNING

    report(home, State.READY, restarts=4)
    check = by_name(home)["gateway"]
    assert (check.level, "restarted 4 times" in check.message) == (Level.WARNING, True)
    assert str(home.log("gateway")) in (check.advice or "")


def test_a_process_that_does_not_answer_is_a_problem(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    report(home, State.READY)
    component = Component(role="gateway", stage=0, command=("true",), probe="tcp://127.0.0.1:1")
    StackPlan(url="http://127.0.0.1:1", components=(component,)).save(home.plan_file)

    assert by_name(home)["gateway"].level is Level.PROBLEM


def test_without_a_supervisor_every_process_that_is_gone_is_a_problem(home: Home) -> None:
    report(home, State.READY)
    PidFile(home.pid(SUPERVISOR)).remove()

    checks = by_name(home)

    assert "tidepool up" in (checks[SUPERVISOR].advice or "")
    assert (checks["gateway"].level, checks["gateway"].message) == (Level.PROBLEM, "it does not run")
    assert str(home.log("gateway")) in (checks["gateway"].advice or "")
