"""A person's grip on an embedded stack: start it, stop it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from filelock import FileLock

from contract.supervision import Report, State
from tidepool.errors import StackFailed
from tidepool.stack.child import SOURCE, rotate
from tidepool.stack.components import Plan
from tidepool.stack.files import last_lines
from tidepool.stack.home import VARIABLE, Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import mark, marked, stop, tear_down
from tidepool.stack.states import load_reports
from tidepool.stack.supervisor import NAME as SUPERVISOR

LIMIT = 60.0  # seconds until every component must be ready
LOOK = 0.05  # seconds between looks at what the supervisor says
HOPELESS = 3  # restarts of one component after which waiting on makes no sense
TAIL = 20  # lines of the log shown of what failed
SUPERVISOR_GRACE = 5.0  # seconds on top of what its components may take

OnLook = Callable[[Sequence[Report]], None]


@dataclass(frozen=True)
class Stack:
    home: Home

    def up(self, draw_plan: Callable[[], Plan], on_look: OnLook = lambda reports: None, limit: float = LIMIT) -> bool:
        """Start what the plan says and wait until all of it is ready; False if the stack was running already.

        The plan is drawn after the leftovers of a killed supervisor are gone. Raises StackFailed, with nothing left
        running.
        """
        self.home.create()
        with FileLock(self.home.lock_file):  # a second `up` waits for the first, and then finds the stack running
            if self._supervisor.process():
                return False
            self.down()
            plan = draw_plan()
            plan.save(self.home.plan_file)
            try:
                self._wait(self._start_supervisor(), on_look, time.monotonic() + limit)
            except BaseException:
                self.down()
                raise
            return True

    def down(self) -> bool:
        """Stop everything, also what a killed supervisor left; False if nothing was running."""
        running = bool(marked(self.home))
        plan = Plan.load(self.home.plan_file) if self.home.plan_file.exists() else Plan(url="", components=())
        if supervisor := self._supervisor.process():
            stop({supervisor: plan.longest_stop() + SUPERVISOR_GRACE})
        tear_down(self.home, plan.stages())
        for file in (self._supervisor.path, self.home.state_file, self.home.plan_file):
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

    def _wait(self, supervisor: subprocess.Popen[bytes], on_look: OnLook, deadline: float) -> None:
        while supervisor.poll() is None and time.monotonic() < deadline:
            reports = load_reports(self.home.state_file)
            on_look(reports)
            if reports and all(report.state.settled for report in reports):
                return
            if any(report.restarts >= HOPELESS for report in reports):
                break
            time.sleep(LOOK)
        name = _culprit(load_reports(self.home.state_file))
        log = self.home.log(name)
        raise StackFailed(f"{name} did not become ready; its log: {log}", last_lines(log, TAIL))


def _culprit(reports: Sequence[Report]) -> str:
    """The first component that failed, keeps dying, or does not answer; else the supervisor itself."""
    for state in (State.FAILED, State.RESTARTING, State.STARTING):
        for report in reports:
            if report.state is state:
                return report.name
    return SUPERVISOR
