"""Labelled pictures for trying a model, taken from the archive that it was trained on."""

import zipfile
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path, PurePosixPath

from contract.datasets import Split

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
LEAST_PARTS = 2  # a class folder, and a file in it


@dataclass(frozen=True)
class Picture:
    """An encoded file and the name of its class folder."""

    name: str
    label: str
    content: bytes


def pictures_of(archive: Path, count: int, *, but: frozenset[str] = frozenset()) -> list[Picture]:
    """Up to `count` pictures `but` those named, the classes taking turns; of a `test` split only, if there is one."""
    with zipfile.ZipFile(archive) as file:
        paths = [PurePosixPath(name) for name in sorted(file.namelist()) if name not in but]
        paths = [path for path in paths if path.suffix.lower() in SUFFIXES and len(path.parts) >= LEAST_PARTS]
        unseen = [path for path in paths if Split.TEST in path.parts[:-2]]
        by_class: dict[str, list[PurePosixPath]] = {}
        for path in unseen or paths:
            by_class.setdefault(path.parent.name, []).append(path)
        turns = (path for path in chain.from_iterable(zip_longest(*by_class.values())) if path)
        return [Picture(str(path), path.parent.name, file.read(str(path))) for path in islice(turns, count)]
