"""One component's life under the supervisor: started, probed, started again when it dies, and drained."""

import logging
import os
import subprocess
import time
from pathlib import Path

from contract.supervision import Report, State
from tidepool.stack.backoff import Backoff
from tidepool.stack.components import Component
from tidepool.stack.home import VARIABLE, Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.probe import answers
from tidepool.stack.processes import kill_marked, mark

SOURCE = Path(__file__).parents[2]  # where `python -m services.…` finds the same code as this
LARGEST_LOG = 10 << 20  # bytes; looked at when a component starts
PROBE_EVERY = 10.0  # seconds, once it is ready
SILENCES = 3  # unanswered probes after which a process that lives is taken for hung

_log = logging.getLogger(__name__)


class Child:
    def __init__(self, home: Home, component: Component) -> None:
        self.component = component
        self.state = State.WAITING
        self._home = home
        self._restarts = 0
        self._backoff = Backoff()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._due = 0.0
        self._silences = 0

    def start(self) -> None:
        """Start it in a session of its own, its output at the end of its log; a command that is missing is a death.

        Raises OSError, with nothing started, if its log cannot be written.
        """
        component, home = self.component, self._home
        log = home.log(component.name)
        rotate(log)
        self._started = time.monotonic()
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    component.command,
                    cwd=SOURCE,
                    env=os.environ
                    | component.environment
                    | {VARIABLE: str(home.path), "PYTHONUNBUFFERED": "1"}
                    | mark(home, component.name),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                output.write(f"{component.command[0]}: {error.strerror}\n".encode())
                self._died(None)
                return
        self.state = State.STARTING
        PidFile(home.pid(component.name)).write(self._process.pid)
        _log.info("%s started as %d", component.name, self._process.pid)

    def follow(self, wanted: bool) -> None:
        """Be, or begin to be, what is wanted; who drains ends first, and only then may start again."""
        if wanted and self.state is State.STOPPED:
            self.state = State.WAITING
        elif not wanted and self.state in {State.WAITING, State.RESTARTING}:
            self.state = State.STOPPED
        elif not wanted and self._process and self.state in {State.STARTING, State.READY}:
            self.state, self._due = State.DRAINING, time.monotonic() + self.component.grace
            self._process.terminate()
            _log.info("%s drains", self.component.name)

    def look(self) -> None:
        """Notice that it died or hangs, that it answers, or that it is time to start it again or to end it."""
        if self.state is State.RESTARTING:
            if time.monotonic() >= self._due:
                self.start()
                self._restarts += 1
        elif self._process and (code := self._process.poll()) is not None:
            self._died(code)
        elif self.state is State.DRAINING and self._process and time.monotonic() >= self._due:
            _log.warning("%s did not go within its grace; killing it", self.component.name)
            self._process.kill()
        elif self.state is State.STARTING and not self.component.once:
            probe = self.component.probe
            if probe is None or answers(probe):
                self.state, self._silences = State.READY, 0
                self._due = time.monotonic() + PROBE_EVERY
        elif self.state is State.READY and self.component.probe and time.monotonic() >= self._due:
            self._probe(self.component.probe)

    def report(self) -> Report:
        component = self.component
        return Report(
            name=component.name,
            role=component.role,
            index=component.index,
            state=self.state,
            restarts=self._restarts,
            pid=self._process.pid if self._process else None,
        )

    def _probe(self, probe: str) -> None:
        """Kill a process that lives but does not answer: it is stopped, or hangs."""
        self._due = time.monotonic() + PROBE_EVERY
        self._silences = 0 if answers(probe) else self._silences + 1
        if self._silences >= SILENCES and self._process:
            _log.warning("%s does not answer; killing it", self.component.name)
            self._process.kill()

    def _died(self, code: int | None) -> None:
        name = self.component.name
        self._process = None
        PidFile(self._home.pid(name)).remove()
        kill_marked(self._home, name)
        if self.state is State.DRAINING:
            self.state = State.STOPPED
            _log.info("%s is gone with %s", name, code)
            return
        if self.component.once:
            self.state = State.FINISHED if code == 0 else State.FAILED
            _log.info("%s ended with %s", name, code)
            return
        now = time.monotonic()
        delay = self._backoff.delay(now - self._started)
        self.state, self._due = State.RESTARTING, now + delay
        _log.warning("%s died with %s; it starts again in %.1f s", name, code, delay)


def rotate(log: Path) -> None:
    """Put a log of over 10 MiB aside, in place of the one before."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
