"""The only place that decides which names of an archive's members are acceptable."""

import re

MAX_LENGTH = 1024
CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")


def clean(raw: str) -> str:
    """The name with `/` between its parts and without empty and `.` parts; a leading `/` stays."""
    name = raw.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts)


def is_clutter(name: str) -> bool:
    """Whether this is a file that operating systems leave behind and nobody means to send: dotfiles, thumbnails."""
    return any(part in CLUTTER or (part.startswith(".") and part != "..") for part in name.split("/"))


def fault(name: str) -> str | None:
    """Why a clean name is refused, or None."""
    if len(name) > MAX_LENGTH:
        return f"its name is over {MAX_LENGTH} characters"
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "its name has control characters"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "its name is an absolute path"
    if ".." in name.split("/"):
        return "its name leaves the archive through '..'"
    if name.lower().endswith(ARCHIVES):
        return "nested archive"
    return None
