"""Real photos, from a folder of zips."""

import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPLITS = ("train", "validation", "test")


class MissingFile(Exception):
    """A file of a real data set is missing; the message says what to do."""


@dataclass(frozen=True)
class ZipFile:
    """A zip in the folder of real data sets; `most` images of each class in each of SPLITS, None for all."""

    name: str
    most: tuple[int | None, int | None, int | None] = (None, None, None)

    def source(self, folder: Path) -> Path:
        """Return the zip in the folder; raises MissingFile."""
        if not (folder / self.name).is_file():
            raise MissingFile(
                f"{folder} has no {self.name}; name the folder that has it with --data, or name the rows that do not "
                "need it with --only"
            )
        return folder / self.name

    def write(self, path: Path, folder: Path) -> Path:
        source = self.source(folder)
        return source if set(self.most) == {None} else self._sampled(source, path)

    def _sampled(self, source: Path, path: Path) -> Path:
        """Write a random choice of the images, always the same."""
        rng = np.random.default_rng(0)
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
            groups: dict[str, list[str]] = defaultdict(list)
            for name in sorted(archive.namelist()):
                if name.split("/")[0] in SPLITS and not name.endswith("/"):  # not a license at the top
                    groups[name.rpartition("/")[0]].append(name)
            for folder, names in groups.items():
                most = self.most[SPLITS.index(folder.split("/")[0])]
                for number in sorted(rng.permutation(len(names))[:most].tolist()):
                    out.writestr(zipfile.ZipInfo(names[number]), archive.read(names[number]))
        return path
