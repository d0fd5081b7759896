"""The pid file of one process, which never leads to another process that has got its number."""

import os
from pathlib import Path

import psutil

from tidepool.stack.files import write_private

SAME_START = 1.0  # seconds; psutil derives the start from the boot time, which clock corrections move a little


class PidFile:
    """A pid and nothing else, for `kill $(cat file)`; the file's modification time is when the process started."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        """Record a process; raises psutil.NoSuchProcess."""
        started = psutil.Process(pid).create_time()
        write_private(self.path, f"{pid}\n")
        os.utime(self.path, (started, started))

    def process(self) -> psutil.Process | None:
        """The recorded process, or None if it has ended, is a zombie, or its number was given to another one."""
        try:
            process = psutil.Process(int(self.path.read_text()))
            gone = process.status() == psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - self.path.stat().st_mtime) <= SAME_START
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if same and not gone else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
