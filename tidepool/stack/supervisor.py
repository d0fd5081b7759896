"""The process that keeps a stack's components running until it gets SIGTERM or SIGINT."""

import logging
import queue
import signal
import sys
from types import FrameType

from contract.supervision import State
from tidepool.stack.child import Child
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import tear_down
from tidepool.stack.shared_files import DesiredReplicasFile, load_reports, save_reports, save_targets

NAME = "supervisor"
BUSY_POLL_S = 0.05  # while a component starts
RUNNING = {State.STARTING, State.READY, State.RESTARTING, State.DRAINING}  # what Prometheus scrapes
IDLE_POLL_S = 0.25  # otherwise; the delay to notice new desired replicas. SIGCHLD interrupts it

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs the components of `plan`; of the replicas, those in the home's file of desired replicas."""

    def __init__(self, home: Home, plan: StackPlan) -> None:
        self._home = home
        self._plan = plan
        self._children = [[Child(home, component) for component in stage] for stage in plan.stages()]
        self._desired = DesiredReplicasFile(home.replicas_file)
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() is safe in a signal handler

    def run(self) -> int:
        """Run until stopped; returns the exit status: 0 after a signal, 1 if a component that runs once failed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        failed = self._keep_running()
        tear_down(self._home, self._plan.stages())
        PidFile(self._home.pid(NAME)).remove()  # written by `Stack.up`
        return int(failed)

    def _keep_running(self) -> bool:
        """Return False after a signal to stop, True if a component that runs once failed."""
        while True:
            try:
                states = self._check()
            except OSError:  # for example a full disk; the components keep running, and so must the supervisor
                _log.exception("Checking the components failed; trying again in %.2f s", IDLE_POLL_S)
                states = []
            if State.FAILED in states:
                return True
            idle = all(state.settled for state in states)
            try:
                if self._signals.get(timeout=IDLE_POLL_S if idle else BUSY_POLL_S) != signal.SIGCHLD:
                    return False
            except queue.Empty:
                continue

    def _check(self) -> list[State]:
        earlier_settled = True
        self._desired.reload()
        for stage in self._children:
            for child in stage:
                child.follow(self._desired.includes(child.component))
                if child.state is not State.WAITING:
                    child.check()
                elif earlier_settled:
                    child.start()
            earlier_settled = earlier_settled and all(child.state.settled for child in stage)
        reports = tuple(child.report() for stage in self._children for child in stage)
        if reports != load_reports(self._home.state_file):  # also rewrites a lost or damaged file
            running = [child.component for stage in self._children for child in stage if child.state in RUNNING]
            save_targets(self._home.targets_file, running)
            save_reports(self._home.state_file, reports)
        return [report.state for report in reports]

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    home = Home.from_environment()
    return Supervisor(home, StackPlan.load(home.plan_file)).run()


if __name__ == "__main__":
    sys.exit(main())
