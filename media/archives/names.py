"""Normalizes and checks the names of an archive's members."""

import re

MAX_LENGTH = 1024
CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")


def clean(raw: str) -> str:
    """Return the name with `/` as separator and without empty and `.` parts; a leading `/` is kept."""
    name = raw.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return ("/" if name.startswith("/") else "") + "/".join(parts)


def is_clutter(name: str) -> bool:
    """Return whether a file is a by-product of an operating system, such as a dotfile or thumbnail cache."""
    return any(part in CLUTTER or (part.startswith(".") and part != "..") for part in name.split("/"))


def fault(name: str) -> str | None:
    """Return why a normalized name is rejected, or None."""
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
