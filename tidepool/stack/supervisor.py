"""The process that keeps a stack's components running until it is told to stop."""

import logging
import queue
import signal
import sys
from types import FrameType

from contract.supervision import State
from tidepool.stack.child import Child
from tidepool.stack.components import Plan
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.processes import tear_down
from tidepool.stack.replicas import Followed
from tidepool.stack.states import load_reports, save_reports

NAME = "supervisor"
BUSY = 0.05  # seconds between looks while something starts
IDLE = 0.25  # at rest: so soon is a change of what is wanted seen; the death of a child ends it at once

_log = logging.getLogger(__name__)


class Supervisor:
    """`plan` is what can run, `wanted` which replicas of it shall; `children` is what does."""

    def __init__(self, home: Home, plan: Plan) -> None:
        self._home = home
        self._plan = plan
        self._children = [[Child(home, component) for component in stage] for stage in plan.stages()]
        self._wanted = Followed(home.replicas_file)
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put is safe in a signal handler

    def run(self) -> int:
        """Return the exit status: 0 when told to stop, 1 when a component that must run once failed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        failed = self._keep_running()
        tear_down(self._home, self._plan.stages())
        PidFile(self._home.pid(NAME)).remove()  # written by who started this process
        return int(failed)

    def _keep_running(self) -> bool:
        """Until a signal says stop (False) or a component has failed for good (True)."""
        while True:
            try:
                states = self._look()
            except OSError:  # a full disk, say; the components go on, and so must this
                _log.exception("looking after the components failed; it goes on in %.0f s", IDLE)
                states = []
            if State.FAILED in states:
                return True
            at_rest = all(state.settled for state in states)
            try:
                if self._signals.get(timeout=IDLE if at_rest else BUSY) != signal.SIGCHLD:
                    return False
            except queue.Empty:
                continue

    def _look(self) -> list[State]:
        earlier_settled = True
        self._wanted.look()
        for stage in self._children:
            for child in stage:
                child.follow(self._wanted.wants(child.component))
                if child.state is not State.WAITING:
                    child.look()
                elif earlier_settled:
                    child.start()
            earlier_settled = earlier_settled and all(child.state.settled for child in stage)
        reports = tuple(child.report() for stage in self._children for child in stage)
        if reports != load_reports(self._home.state_file):  # a file that somebody lost or broke is written again
            save_reports(self._home.state_file, reports)
        return [report.state for report in reports]

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    home = Home.from_environment()
    return Supervisor(home, Plan.load(home.plan_file)).run()


if __name__ == "__main__":
    sys.exit(main())
