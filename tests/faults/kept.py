"""A process that is started again whenever it dies, and that a nemesis can kill and freeze."""

import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.proxy import ROOT

AGAIN_S = 0.3


class Kept:
    """A process kept alive; its output goes to `<folder>/<name>.log`."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command, self._environment = command, environment
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._process = self._start()
        self._wanted.set()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def family(self) -> list[psutil.Process]:
        """The process and everything below it, as far as it lives."""
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def attempts(self) -> list[psutil.Process]:
        """The processes of a worker that run jobs: the children of its fork server."""
        found = []
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                if process.pid != self.pid and process.ppid() != self.pid:
                    found.append(process)
        return found

    def kill(self) -> None:
        """kill -9; it is dead when this returns."""
        process = self._process
        process.kill()
        process.wait()

    def terminate(self, within_s: float) -> int:
        """SIGTERM, and do not start it again until `resume`; the exit code."""
        self._wanted.clear()
        self._process.terminate()
        return self._process.wait(within_s)

    def pause(self) -> None:
        """Kill it and do not start it again until `resume`."""
        self._wanted.clear()
        self._process.kill()
        self._process.wait()

    def resume(self) -> None:
        self._wanted.set()

    def freeze(self) -> None:
        signal_all(self.family(), signal.SIGSTOP)

    def thaw(self) -> None:
        signal_all(self.family(), signal.SIGCONT)

    def stop(self) -> None:
        """The end, for the process and its family."""
        self._over.set()
        self._wanted.set()
        family = self.family()
        self._process.kill()
        signal_all(family, signal.SIGKILL)
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.is_set():
            self._process.wait()
            self._over.wait(AGAIN_S)
            self._wanted.wait()
            if not self._over.is_set():
                self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(self._command, env=self._environment, stdout=output, stderr=output, cwd=ROOT)


def signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that still live."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
