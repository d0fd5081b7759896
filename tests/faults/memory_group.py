"""A memory cgroup, version 1 or 2, for processes that are to run out of memory; or a thread that does the same."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")
POLL_S = 0.02


@dataclass(frozen=True)
class Hierarchy:
    """The folder of the cgroups and the names of their files."""

    folder: Path
    limits: tuple[str, ...]  # memory alone, and together with swap
    events: str

    @classmethod
    def available(cls) -> "Hierarchy | None":
        """Return the machine's hierarchy, or None if this process cannot create groups."""
        known = (
            cls(ROOT / "memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"),
            cls(ROOT, ("memory.max",), "memory.events"),
        )
        return next((hierarchy for hierarchy in known if _writable(hierarchy.folder)), None)


@dataclass(frozen=True)
class MemoryGroup:
    """A group that limits the memory its processes allocate from now on."""

    folder: Path
    events: Path

    @classmethod
    @contextmanager
    def made(cls, hierarchy: Hierarchy, limit: int) -> Iterator["MemoryGroup"]:
        """Create a group of at most `limit` bytes during the block; raises OSError if the kernel does not allow it."""
        folder = hierarchy.folder / f"tidepool-faults-{os.getpid()}"
        control = hierarchy.folder / "cgroup.subtree_control"  # version 2: groups start without controllers
        if control.exists():
            control.write_text("+memory")
        folder.mkdir()
        try:
            for name in hierarchy.limits:
                if (folder / name).exists():  # swap accounting may be off
                    (folder / name).write_text(str(limit))
            if (folder / "memory.swap.max").exists():
                (folder / "memory.swap.max").write_text("0")
            yield cls(folder, folder / hierarchy.events)
        finally:
            for pid in (folder / "cgroup.procs").read_text().split():
                (hierarchy.folder / "cgroup.procs").write_text(pid)
            folder.rmdir()

    def take(self, processes: list[psutil.Process]) -> None:
        """Move processes into the group; memory they already have is not counted."""
        for process in processes:
            (self.folder / "cgroup.procs").write_text(str(process.pid))

    @property
    def kills(self) -> int:
        """The number of out-of-memory kills in this group."""
        counts = dict(line.split() for line in self.events.read_text().splitlines())
        return int(counts["oom_kill"])


class WatchedProcesses:
    """Processes that a thread kills at a limit, as the kernel does in a group; for machines where no group can be made.

    Memory they already have is not counted.
    """

    def __init__(self, limit: int) -> None:
        self.kills = 0
        self._limit = limit
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    @contextmanager
    def made(cls, limit: int) -> Iterator["WatchedProcesses"]:
        watched = cls(limit)
        try:
            yield watched
        finally:
            watched._ended.set()
            for thread in watched._threads:
                thread.join()

    def take(self, processes: list[psutil.Process]) -> None:
        """Watch processes from now on."""
        for process in processes:
            thread = threading.Thread(target=self._watch, args=[process, process.memory_info().rss + self._limit])
            thread.start()
            self._threads.append(thread)

    def _watch(self, process: psutil.Process, most: int) -> None:
        with suppress(psutil.NoSuchProcess):
            while not self._ended.wait(POLL_S):
                if process.memory_info().rss > most:
                    self.kills += 1
                    process.kill()
                    return


def _writable(folder: Path) -> bool:
    version_2 = folder / "cgroup.controllers"
    has_memory = not version_2.exists() or "memory" in version_2.read_text().split()
    return has_memory and (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK)
