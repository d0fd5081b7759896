"""Atomic writes of private files, and the end of a log."""

import os
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 600 atomically: readers see the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        file.write(text)
    draft.replace(path)


def last_lines(path: Path, count: int) -> str:
    """Return the last lines of a text file, from its last 64 KiB at most; empty if the file is missing."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (64 << 10)))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
