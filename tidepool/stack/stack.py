"""Start and stop an embedded stack."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from filelock import FileLock

from contract.supervision import ComponentReport, State
from tidepool.errors import StackFailed
from tidepool.stack.child import SOURCE, rotate
from tidepool.stack.components import StackPlan
from tidepool.stack.files import last_lines
from tidepool.stack.home import VARIABLE, Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import mark, marked, stop, tear_down
from tidepool.stack.shared_files import load_reports
from tidepool.stack.supervisor import NAME as SUPERVISOR

START_TIMEOUT_S = 180.0  # until every component must be ready; a busy machine takes more than a minute
POLL_S = 0.05  # between reads of the supervisor's reports
MAX_RESTARTS = 3  # of one component, after which `up` fails
TAIL = 20  # lines shown of a failed component's log
SUPERVISOR_GRACE_S = 5.0  # on top of the components' grace periods

OnReports = Callable[[Sequence[ComponentReport]], None]


@dataclass(frozen=True)
class Stack:
    home: Home

    def up(
        self,
        draw_plan: Callable[[], StackPlan],
        on_reports: OnReports = lambda reports: None,
        limit: float = START_TIMEOUT_S,
    ) -> bool:
        """Start the plan's components and wait until all are ready; returns False if the stack was running already.

        `draw_plan` is called after the leftover processes of a killed supervisor are stopped. Raises StackFailed,
        with nothing left running.
        """
        self.home.create()
        with FileLock(self.home.lock_file):  # a concurrent `up` waits, then finds the stack running
            if self._supervisor.process():
                return False
            self.down()
            plan = draw_plan()
            plan.save(self.home.plan_file)
            try:
                self._wait(self._start_supervisor(), on_reports, limit)
            except BaseException:
                self.down()
                raise
            return True

    def down(self) -> bool:
        """Stop everything, including leftovers of a killed supervisor; returns False if nothing was running."""
        running = bool(marked(self.home))
        plan = StackPlan.load(self.home.plan_file) if self.home.plan_file.exists() else StackPlan(url="", components=())
        if supervisor := self._supervisor.process():
            stop({supervisor: plan.longest_stop() + SUPERVISOR_GRACE_S})
        tear_down(self.home, plan.stages())
        home = self.home
        for file in (self._supervisor.path, home.state_file, home.plan_file, home.targets_file):
            file.unlink(missing_ok=True)
        return running

    @property
    def _supervisor(self) -> PidFile:
        return PidFile(self.home.pid(SUPERVISOR))

    def _start_supervisor(self) -> subprocess.Popen[bytes]:
        log = self.home.log(SUPERVISOR)
        rotate(log)
        with log.open("ab") as output:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "tidepool.stack.supervisor"],
                cwd=SOURCE,
                env=os.environ | {VARIABLE: str(self.home.path)} | mark(self.home, SUPERVISOR),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._supervisor.write(supervisor.pid)
        return supervisor

    def _wait(self, supervisor: subprocess.Popen[bytes], on_reports: OnReports, limit: float) -> None:
        deadline, problem = time.monotonic() + limit, "did not become ready; see its log"
        while supervisor.poll() is None:
            reports = load_reports(self.home.state_file)
            on_reports(reports)
            if reports and all(report.state.settled for report in reports):
                return
            if any(report.restarts >= MAX_RESTARTS for report in reports):
                break
            if time.monotonic() >= deadline:
                problem = f"was not ready within {limit:.0f} s; if the machine is busy, try again, or see its log"
                break
            time.sleep(POLL_S)
        name = _culprit(load_reports(self.home.state_file))
        log = self.home.log(name)
        raise StackFailed(f"{name} {problem}: {log}", last_lines(log, TAIL))


def _culprit(reports: Sequence[ComponentReport]) -> str:
    """Return the first component that failed, keeps restarting, or does not answer; else the supervisor."""
    for state in (State.FAILED, State.RESTARTING, State.STARTING):
        for report in reports:
            if report.state is state:
                return report.name
    return SUPERVISOR
