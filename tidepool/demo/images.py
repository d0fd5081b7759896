"""Labelled images for trying a model, from the archive that it was trained on."""

import zipfile
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path, PurePosixPath

from contract.datasets import Split

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
MIN_PARTS = 2  # a class folder and a file


@dataclass(frozen=True)
class SampleImage:
    """An encoded file and the name of its class folder."""

    name: str
    label: str
    content: bytes


def sample_images(archive: Path, count: int, *, exclude: frozenset[str] = frozenset()) -> list[SampleImage]:
    """Return up to `count` images, alternating between classes; only from the `test` split if there is one."""
    with zipfile.ZipFile(archive) as file:
        paths = [PurePosixPath(name) for name in sorted(file.namelist()) if name not in exclude]
        paths = [path for path in paths if path.suffix.lower() in SUFFIXES and len(path.parts) >= MIN_PARTS]
        test_split = [path for path in paths if Split.TEST in path.parts[:-2]]
        by_class: dict[str, list[PurePosixPath]] = {}
        for path in test_split or paths:
            by_class.setdefault(path.parent.name, []).append(path)
        turns = (path for path in chain.from_iterable(zip_longest(*by_class.values())) if path)
        return [SampleImage(str(path), path.parent.name, file.read(str(path))) for path in islice(turns, count)]
