"""One component under the supervisor: start, probe, restart with back-off, drain."""

import logging
import math
import os
import shutil
import subprocess
import time
from pathlib import Path

from contract.supervision import ComponentReport, State
from tidepool.stack.components import Component
from tidepool.stack.cores import confined_to
from tidepool.stack.home import VARIABLE, Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.probe import answers
from tidepool.stack.processes import kill_marked, mark

SOURCE = Path(__file__).parents[2]  # working directory in which `python -m services.…` finds this same code
MAX_LOG_BYTES = 10 << 20  # checked when a component starts, and at each probe
PROBE_INTERVAL_S = 10.0  # once the component is ready
MAX_FAILED_PROBES = 3  # in a row, after which a live process counts as hung
FIRST_DELAY_S, MAX_DELAY_S, HEALTHY_S = 0.5, 30.0, 60.0

_log = logging.getLogger(__name__)


class Backoff:
    """Restart delays: half a second, doubled at each death up to 30 s, reset after 60 s of uptime."""

    def __init__(self) -> None:
        self._deaths = 0

    def delay(self, uptime: float) -> float:
        """Return the seconds to wait after a death at `uptime` seconds."""
        self._deaths = 0 if uptime >= HEALTHY_S else self._deaths
        seconds = min(MAX_DELAY_S, math.ldexp(FIRST_DELAY_S, min(self._deaths, 16)))
        self._deaths += 1
        return seconds


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
        self._failed_probes = 0

    def start(self) -> None:
        """Start the process in a new session and append its output to the log; a missing command counts as a death.

        Raises OSError, with nothing started, if the log cannot be written.
        """
        component, home = self.component, self._home
        log = home.log(component.name)
        rotate(log)
        self._started = time.monotonic()
        with log.open("ab") as output, confined_to(component.cores):
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
        _log.info("Started %s with pid %d", component.name, self._process.pid)

    def follow(self, desired: bool) -> None:
        """Start or drain as desired; a draining process ends before it can be started again."""
        if desired and self.state is State.STOPPED:
            self.state = State.WAITING
        elif not desired and self.state in {State.WAITING, State.RESTARTING}:
            self.state = State.STOPPED
        elif not desired and self._process and self.state in {State.STARTING, State.READY}:
            self.state, self._due = State.DRAINING, time.monotonic() + self.component.grace
            self._process.terminate()
            _log.info("Draining %s", self.component.name)

    def check(self) -> None:
        """Update the state: detect death, probe, restart when the delay is over, kill when the grace is over."""
        if self.state is State.RESTARTING:
            if time.monotonic() >= self._due:
                self.start()
                self._restarts += 1
        elif self._process and (code := self._process.poll()) is not None:
            self._died(code)
        elif self.state is State.DRAINING and self._process and time.monotonic() >= self._due:
            _log.warning("Killing %s: it did not stop within its grace period", self.component.name)
            self._process.kill()
        elif self.state is State.STARTING and not self.component.once:
            probe = self.component.probe
            if probe is None or answers(probe):
                self.state, self._failed_probes = State.READY, 0
                self._due = time.monotonic() + PROBE_INTERVAL_S
        elif self.state is State.READY and self.component.probe and time.monotonic() >= self._due:
            self._probe(self.component.probe)

    def report(self) -> ComponentReport:
        component = self.component
        return ComponentReport(
            name=component.name,
            role=component.role,
            index=component.index,
            state=self.state,
            restarts=self._restarts,
            pid=self._process.pid if self._process else None,
        )

    def _probe(self, probe: str) -> None:
        """Kill a process that is alive but stopped or hung; keep its log bounded."""
        trim(self._home.log(self.component.name))
        self._due = time.monotonic() + PROBE_INTERVAL_S
        self._failed_probes = 0 if answers(probe) else self._failed_probes + 1
        if self._failed_probes >= MAX_FAILED_PROBES and self._process:
            _log.warning("Killing %s: it does not answer its probe", self.component.name)
            self._process.kill()

    def _died(self, code: int | None) -> None:
        name = self.component.name
        self._process = None
        PidFile(self._home.pid(name)).remove()
        kill_marked(self._home, name)
        if self.state is State.DRAINING:
            self.state = State.STOPPED
            _log.info("%s stopped with exit status %s", name, code)
            return
        if self.component.once:
            self.state = State.FINISHED if code == 0 else State.FAILED
            _log.info("%s ended with exit status %s", name, code)
            return
        now = time.monotonic()
        delay = self._backoff.delay(now - self._started)
        self.state, self._due = State.RESTARTING, now + delay
        _log.warning("%s died with exit status %s; restarting in %.1f s", name, code, delay)


def rotate(log: Path) -> None:
    """Rename a log of over 10 MiB to `.log.1`, replacing the previous one."""
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def trim(log: Path) -> None:
    """Copy a log of over 10 MiB to `.log.1`, then empty it, as a process is writing to it.

    What is written in between is lost. If there is no room for the copy, the log is emptied all the same.
    """
    if not log.exists() or log.stat().st_size <= MAX_LOG_BYTES:
        return
    copy = log.with_suffix(".log.1")
    try:
        shutil.copyfile(log, copy)
    except OSError:
        copy.unlink(missing_ok=True)
    os.truncate(log, 0)  # the process appends, so it goes on at the beginning
