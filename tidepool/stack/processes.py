"""Stop a stack's processes: by pid file, stage by stage, then by the environment variable that marks them."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

from tidepool.stack.components import Component
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile

# Not TIDEPOOL_HOME: users export it, and their shell must not count as a component.
MARK = "TIDEPOOL_STACK"
KILL_ROUNDS = 10  # a process can start another one while it is being killed


def mark(home: Home, name: str) -> dict[str, str]:
    """Return the variable that marks a component and every process that it starts."""
    return {MARK: f"{name}@{home.path}"}


def marked(home: Home, name: str = "") -> list[psutil.Process]:
    """Return every live process of this home's stack, or of one component, except the caller."""
    processes = []
    for process in psutil.process_iter():
        try:
            component, _, path = process.environ().get(MARK, "").partition("@")
            belongs = path == str(home.path) and name in {"", component}
            if belongs and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return processes


def kill_marked(home: Home, name: str = "") -> None:
    """Send SIGKILL until no marked process is left."""
    for _ in range(KILL_ROUNDS):
        left = marked(home, name)
        if not left:
            return
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)


def stop(processes: Mapping[psutil.Process, float]) -> None:
    """Send SIGTERM to all at once, then SIGKILL to each that outlives its grace period (seconds)."""
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
    """Stop the processes in the pid files, from the last stage to the first, then every other marked process."""
    for stage in reversed(list(stages)):
        files = [(component, PidFile(home.pid(component.name))) for component in stage]
        stop({process: component.grace for component, file in files if (process := file.process())})
        for _, file in files:
            file.remove()
    kill_marked(home)
