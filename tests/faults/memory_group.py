"""A memory cgroup, version 1 or 2, for processes that are to run out of memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")


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


def _writable(folder: Path) -> bool:
    version_2 = folder / "cgroup.controllers"
    has_memory = not version_2.exists() or "memory" in version_2.read_text().split()
    return has_memory and (folder / "cgroup.procs").exists() and os.access(folder, os.W_OK)
