"""The only place that ends processes: by pid file, stage by stage, and by the mark that all of them carry."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

from tidepool.stack.components import Component
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile

# Not TIDEPOOL_HOME: a person exports that one, and the shell it was exported in must not be taken for a component.
MARK = "TIDEPOOL_STACK"
KILL_ROUNDS = 10  # a process that is being killed may start another one


def mark(home: Home, name: str) -> dict[str, str]:
    """The environment by which a component, and whatever it starts, is found again."""
    return {MARK: f"{name}@{home.path}"}


def marked(home: Home, name: str = "") -> list[psutil.Process]:
    """Every living process of this home's stack, or of one component, except the caller."""
    found = []
    for process in psutil.process_iter():
        try:
            whose, _, where = process.environ().get(MARK, "").partition("@")
            ours = where == str(home.path) and name in {"", whose}
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def kill_marked(home: Home, name: str = "") -> None:
    """SIGKILL until none is left."""
    for _ in range(KILL_ROUNDS):
        left = marked(home, name)
        if not left:
            return
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def stop(processes: Mapping[psutil.Process, float]) -> None:
    """SIGTERM to all at once, then SIGKILL to each that outlives its grace (seconds)."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    left = list(processes)
    waited = 0.0
    for grace in sorted(set(processes.values())):
        _, left = psutil.wait_procs(left, timeout=grace - waited)
        waited = grace
        for process in left:
            if processes[process] <= grace:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
    psutil.wait_procs(left, timeout=1)


def tear_down(home: Home, stages: Iterable[list[Component]]) -> None:
    """Stop what the pid files of a stack lead to, stage by stage from the last, then whatever else carries its mark."""
    for stage in reversed(list(stages)):
        files = [(component, PidFile(home.pid(component.name))) for component in stage]
        stop({process: component.grace for component, file in files if (process := file.process())})
        for _, file in files:
            file.remove()
    kill_marked(home)
