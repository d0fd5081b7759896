"""The data sets of the benchmark: generated ones, scikit-learn's digits, and real photos from a folder of zips.

Each is written as a zip with the folders train, validation and test, as a person would upload it.
"""

import io
import string
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from benchmarks.preprocess.archives import small
from benchmarks.training.digits import digits
from benchmarks.training.drawings import FINGERS, SHAPES, Draw, Pixels, hand, letter, shape
from benchmarks.training.patterns import SCANS, TEXTURES, scan, texture
from benchmarks.training.photos import ZipFile

SPLITS = ("train", "validation", "test")


class DataSet(Protocol):
    """Writes itself as a zip."""

    def write(self, path: Path, folder: Path) -> Path:
        """Return the zip, written to `path` unless it exists in `folder`, that of the real data sets.

        Raises MissingFile.
        """


@dataclass(frozen=True)
class Generated:
    """Images drawn by code: for each class as many in each of SPLITS as `counts` says.

    With `imbalance`, the training and validation images become fewer from class to class, until the last class has
    `imbalance` times fewer than the first. The test split stays balanced.
    """

    classes: tuple[str, ...]
    draw: Draw
    counts: tuple[int, int, int]
    imbalance: float = 1.0
    seed: int = 0

    def write(self, path: Path, folder: Path) -> Path:
        return written(path, self.images())

    def images(self) -> Iterator[tuple[str, Pixels]]:
        """Yield the paths and pixels of all images; each split has a random generator of its own."""
        for number, split in enumerate(SPLITS):
            rng = np.random.default_rng((self.seed, number))
            for label, name in enumerate(self.classes):
                for position in range(self.count(split, label)):
                    yield f"{split}/{name}/{position:04d}.png", self.draw(rng, label)

    def count(self, split: str, label: int) -> int:
        """Return how many images of a class a split has."""
        count = self.counts[SPLITS.index(split)]
        if split == "test":
            return count
        return max(round(count * self.imbalance ** (-label / (len(self.classes) - 1))), 1)


@dataclass(frozen=True)
class Digits:
    """The 1,797 handwritten digits of 8 × 8 pixels that come with scikit-learn."""

    def write(self, path: Path, folder: Path) -> Path:
        return written(path, digits())


@dataclass(frozen=True)
class Small:
    """Many images of 32 × 32 random squares without meaning, to measure memory and time."""

    count: int

    def write(self, path: Path, folder: Path) -> Path:
        return small(path, self.count)


def written(path: Path, images: Iterator[tuple[str, Pixels]]) -> Path:
    """Write images as PNG files of a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, pixels in images:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
            archive.writestr(zipfile.ZipInfo(name), file.getvalue())
    return path


_LETTERS = tuple(string.ascii_uppercase)
DATA_SETS: dict[str, DataSet] = {
    "digits": Digits(),
    "letters": Generated(_LETTERS, letter, (48, 6, 40)),
    "letters-imbalanced": Generated(_LETTERS, letter, (120, 15, 40), imbalance=60),
    "shapes": Generated(SHAPES, shape, (96, 12, 160)),
    "shapes-tiny": Generated(SHAPES, shape, (10, 3, 160), seed=1),
    "textures": Generated(TEXTURES, texture, (80, 10, 120)),
    "scans": Generated(SCANS, scan, (120, 15, 250)),
    "hands": Generated(FINGERS, hand, (165, 20, 100)),
    "clothing-tiny": ZipFile("clothing.zip", most=(10, 3, None)),
    "cifar-sample": ZipFile("cifar10-sample.zip"),
    "clothing": ZipFile("clothing.zip"),
    "cifar": ZipFile("cifar10.zip"),
    **{f"scale-{count}": Small(count) for count in (1_000, 10_000, 100_000, 600_000)},
}
