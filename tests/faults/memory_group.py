"""A small memory cgroup for processes that shall run out of memory: the kernel's own, version 1 or 2."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Hierarchy:
    """Where groups are made, and what the kernel calls their files."""

    folder: Path
    limits: tuple[str, ...]  # memory alone, and together with swap
    events: str

    @classmethod
    def found(cls) -> "Hierarchy | None":
        """The machine's, if this process may make groups in it."""
        known = (
            cls(ROOT / "memory", ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"),
            cls(ROOT, ("memory.max",), "memory.events"),
        )
        return next((one for one in known if _ours(one.folder)), None)


@dataclass(frozen=True)
class MemoryGroup:
    """A group with a limit on what its processes take from now on."""

    folder: Path
    events: Path

    @classmethod
    @contextmanager
    def made(cls, hierarchy: Hierarchy, limit: int) -> Iterator["MemoryGroup"]:
        """A group of at most `limit` bytes; raises OSError where the kernel allows none."""
        folder = hierarchy.folder / f"tidepool-faults-{os.getpid()}"
        control = hierarchy.folder / "cgroup.subtree_control"  # of version 2, where groups begin without controllers
        if control.exists():
            control.write_text("+memory")
        folder.mkdir()
        try:
            for name in hierarchy.limits:
                if (folder / name).exists():  # a kernel may count no swap
                    (folder / name).write_text(str(limit))
            if (folder / "memory.swap.max").exists():
                (folder / "memory.swap.max").write_text("0")
            yield cls(folder, folder / hierarchy.events)
        finally:
            for pid in (folder / "cgroup.procs").read_text().split():
                (hierarchy.folder / "cgroup.procs").write_text(pid)
            folder.rmdir()

    def take(self, processes: list[psutil.Process]) -> None:
        """Move processes in; what they have already is not counted."""
        for process in processes:
            (self.folder / "cgroup.procs").write_text(str(process.pid))

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed here for want of memory."""
        counts = dict(line.split() for line in self.events.read_text().splitlines())
        return int(counts["oom_kill"])


def _ours(folder: Path) -> bool:
    version_2 = folder / "cgroup.controllers"
    has_memory = not version_2.exists() or "memory" in version_2.read_text().split()
    return has_memory and (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK)
