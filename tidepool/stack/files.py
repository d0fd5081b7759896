"""The only place that writes files: whole or not at all, and readable by their owner alone."""

import os
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Replace a file with mode 600 in one step; a reader sees the old text or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        file.write(text)
    draft.replace(path)


def last_lines(path: Path, count: int) -> str:
    """The last lines of a text file, looking at no more than its last 64 KiB; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (64 << 10)))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
