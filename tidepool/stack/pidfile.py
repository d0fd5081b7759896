"""Pid files that detect a reused pid."""

import os
from pathlib import Path

import psutil

from tidepool.stack.files import write_private

START_TOLERANCE_S = 1.0  # psutil derives the start from the boot time, which clock corrections shift slightly


class PidFile:
    """A file that holds only a pid, for `kill $(cat file)`; its modification time is the process's start time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, pid: int) -> None:
        """Record a process; raises psutil.NoSuchProcess."""
        started = psutil.Process(pid).create_time()
        write_private(self.path, f"{pid}\n")
        os.utime(self.path, (started, started))

    def process(self) -> psutil.Process | None:
        """Return the recorded process, or None if it ended, is a zombie, or its pid belongs to another process now."""
        try:
            process = psutil.Process(int(self.path.read_text()))
            zombie = process.status() == psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - self.path.stat().st_mtime) <= START_TOLERANCE_S
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if same and not zombie else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
