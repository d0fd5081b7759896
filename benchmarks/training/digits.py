"""The handwritten digits of scikit-learn, read from its package in an environment of its own.

They are from: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from benchmarks.inference.install import ENVIRONMENTS, install
from benchmarks.training.drawings import Pixels
from benchmarks.training.peers import PACKAGES
from benchmarks.training.photos import MissingFile

SIDE, LEVELS = 8, 16
SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}


def digits() -> Iterator[tuple[str, Pixels]]:
    """Yield paths and pixels, split at random, the same way each time; raises MissingFile."""
    if not install("scikit-learn", PACKAGES["scikit-learn"]):
        raise MissingFile("scikit-learn, which has the digits, cannot be installed here; leave out digits with --only")
    (file,) = (ENVIRONMENTS / "scikit-learn").glob("lib/python*/site-packages/sklearn/datasets/data/digits.csv.gz")
    by_digit: dict[int, list[Pixels]] = defaultdict(list)
    with gzip.open(file, "rt") as lines:
        for *values, digit in csv.reader(lines):
            pixels = np.array(values, np.float64).reshape(SIDE, SIDE) * 255 / LEVELS
            by_digit[int(float(digit))].append(pixels.round().astype(np.uint8))
    rng = np.random.default_rng(0)
    for digit, images in sorted(by_digit.items()):
        edges = np.cumsum([round(share * len(images)) for share in SHARES.values()])[:-1]
        for split, numbers in zip(SHARES, np.split(rng.permutation(len(images)), edges), strict=True):
            yield from ((f"{split}/{digit}/{number:04d}.png", images[number]) for number in numbers.tolist())
