"""A disk that can be filled: a small tmpfs if this user may mount one, else a folder that cannot be filled."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE_MB = 192


@dataclass(frozen=True)
class Disk:
    folder: Path
    can_be_full: bool

    @classmethod
    @contextmanager
    def plain(cls, folder: Path) -> Iterator["Disk"]:
        """Use a folder on the machine's disk."""
        folder.mkdir()
        yield cls(folder, can_be_full=False)

    @classmethod
    @contextmanager
    def mounted(cls, folder: Path) -> Iterator["Disk"]:
        """Mount a tmpfs during the block."""
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0777", "tmpfs", str(folder)]
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        try:
            yield cls(folder, mounted)
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)

    def fill(self) -> None:
        """Write until nothing more fits."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 20)):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink(missing_ok=True)
