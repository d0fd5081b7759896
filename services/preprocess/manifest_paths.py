"""Finds the file of an archive that a manifest's path means."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cached_property

from media.archives.names import IMAGES, clean


class Paths:
    """Finds the file of an archive that a manifest's path means.

    A path means the file of this name; else the one file whose name ends with it, in whole folders; else the same
    for image files without their extension. Names are compared in Unicode's NFC, because macOS writes NFD, and if
    that finds nothing, without regard to case. Of an absolute path, folders that the archive lacks are left out.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        """Index the files by their names relative to the manifest; the values are their names in the archive."""
        self._exact = {_composed(name): file for name, file in files.items()} | dict(files)
        self.files = tuple(files.values())

    def matches(self, path: str) -> list[str]:
        """Return the file that the path means, no file, or two if there are several."""
        key = path if path in self._exact else _composed(clean(path.replace("\\", "/")))
        if not key or key in self._exact:
            return [self._exact[key]] if key else []
        if ".." in key.split("/"):
            return []
        return _ending(self._endings, key) or _ending(self._folded, key.casefold()) or self._of_absolute(key)

    def _of_absolute(self, key: str) -> list[str]:
        """Return the file for a path of another computer, such as `/home/me/data/cat/1.png` or `C:/cat/1.png`."""
        first, *parts = key.split("/")
        if first and not first.endswith(":"):
            return []
        while len(parts) > 1:
            if matching := _ending(self._endings, "/".join(parts)):
                return matching
            parts = parts[1:]
        return [self._exact[name] for name in parts if name in self._exact]

    @cached_property
    def _endings(self) -> tuple[list[tuple[str, str]], ...]:
        """All files, and image files without their extension."""
        whole = [(_composed(file), file) for file in self.files]
        return _ordered(whole), _ordered((key.rpartition(".")[0], file) for key, file in whole if _image(key))

    @cached_property
    def _folded(self) -> tuple[list[tuple[str, str]], ...]:
        whole = [(_composed(file).casefold(), file) for file in self.files]
        return _ordered(whole), _ordered((key.rpartition(".")[0], file) for key, file in whole if _image(key))


def _ending(endings: Iterable[list[tuple[str, str]]], key: str) -> list[str]:
    ending = f"/{key}"[::-1]
    for names in endings:
        first = bisect_left(names, (ending, ""))
        if matching := [file for name, file in names[first : first + 2] if name.startswith(ending)]:
            return matching
    return []


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _image(name: str) -> bool:
    return name.lower().endswith(IMAGES)


def _ordered(names: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the files sorted by their names read backwards, so that equal endings are neighbours."""
    return sorted((f"/{name}"[::-1], file) for name, file in names)
