"""A process that is restarted when it dies, and that tests can kill and freeze."""

import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.proxy import ROOT

RESTART_S = 0.3


class RestartedProcess:
    """A process that is restarted when it dies; its output goes to `<folder>/<name>.log`."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command, self._environment = command, environment
        self._enabled = threading.Event()
        self._stopped = threading.Event()
        self._process = self._start()
        self._enabled.set()
        self._thread = threading.Thread(target=self._restart, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """Return the process and its descendants that are alive."""
        if not self.running():  # its number may be another process's by now
            return []
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def attempts(self) -> list[psutil.Process]:
        """Return the processes of a worker that run attempts: the children of its fork server."""
        attempts = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                if process.pid != self.pid and process.ppid() != self.pid:
                    attempts.append(process)
        return attempts

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        process = self._process
        process.kill()
        process.wait()

    def terminate(self, within_s: float) -> int:
        """Send SIGTERM, do not restart until `resume`, and return the exit code."""
        self._enabled.clear()
        self._process.terminate()
        return self._process.wait(within_s)

    def pause(self) -> None:
        """Kill it and do not restart it until `resume`."""
        self._enabled.clear()
        self._process.kill()
        self._process.wait()

    def disable(self) -> None:
        """Do not restart it until `resume`."""
        self._enabled.clear()

    def resume(self) -> None:
        self._enabled.set()

    def freeze(self) -> None:
        signal_all(self.family(), signal.SIGSTOP)

    def thaw(self) -> None:
        signal_all(self.family(), signal.SIGCONT)

    def stop(self) -> None:
        """Kill the process and its descendants for good."""
        self._stopped.set()
        self._enabled.set()
        family = self.family()
        self._process.kill()
        signal_all(family, signal.SIGKILL)
        self._thread.join()

    def _restart(self) -> None:
        while not self._stopped.is_set():
            self._process.wait()
            self._stopped.wait(RESTART_S)
            self._enabled.wait()
            if not self._stopped.is_set():
                self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(self._command, env=self._environment, stdout=output, stderr=output, cwd=ROOT)


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to the processes that are still alive."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
