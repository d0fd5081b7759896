"""The status of each component, from its pid file and the supervisor's report."""

import time
from collections.abc import Iterator

import psutil

from contract.base import Frozen
from contract.supervision import State
from tidepool.stack.components import Component, StackPlan
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.shared_files import load_reports
from tidepool.stack.supervisor import NAME as SUPERVISOR


class StatusRow(Frozen):
    """One component; `memory_bytes` is the resident memory of the process and its descendants."""

    name: str
    role: str
    state: str
    pid: int | None = None
    restarts: int = 0
    uptime_s: float | None = None
    memory_bytes: int | None = None
    log: str


class Status(Frozen):
    """`supervised` is false if the stack is down or its supervisor was killed."""

    url: str | None
    supervised: bool
    components: tuple[StatusRow, ...]


def status_of(home: Home) -> Status:
    """Return the status now; a stack that is down has no components."""
    if not home.plan_file.exists():
        return Status(url=None, supervised=False, components=())
    plan = StackPlan.load(home.plan_file)
    supervised = PidFile(home.pid(SUPERVISOR)).process() is not None
    return Status(url=plan.url, supervised=supervised, components=tuple(_rows(home, plan, supervised)))


def _rows(home: Home, plan: StackPlan, supervised: bool) -> Iterator[StatusRow]:
    reports = {report.name: report for report in load_reports(home.state_file)}
    yield _row(home, SUPERVISOR, SUPERVISOR, state="ready" if supervised else "dead", restarts=0)
    for component in plan.components:
        if component.once:
            continue
        report = reports.get(component.name)
        state = str(report.state) if report else "waiting"
        if not supervised and state != State.STOPPED:
            state = "orphaned" if _process(home, component) else "dead"
        yield _row(home, component.name, component.role, state=state, restarts=report.restarts if report else 0)


def _process(home: Home, component: Component) -> psutil.Process | None:
    return PidFile(home.pid(component.name)).process()


def _row(home: Home, name: str, role: str, *, state: str, restarts: int) -> StatusRow:
    row = StatusRow(name=name, role=role, state=state, restarts=restarts, log=str(home.log(name)))
    process = PidFile(home.pid(name)).process()
    if process is None:
        return row
    try:
        family = [process, *(process.children(recursive=True) if name != SUPERVISOR else ())]
        return row.model_copy(
            update={
                "pid": process.pid,
                "uptime_s": time.time() - process.create_time(),
                "memory_bytes": sum(member.memory_info().rss for member in family),
            }
        )
    except psutil.NoSuchProcess:
        return row
