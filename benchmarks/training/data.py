"""Data sets of the benchmark as shards: real photos from a folder of zips, and generated digits."""

import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode

SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
Arrays = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def from_zip(path: Path, spec: ImageSpec) -> Arrays:
    """Decode `split/class/*.jpg`; without a validation split, every tenth training image of a class becomes one."""
    rows: dict[str, list[tuple[NDArray[np.uint8], int]]] = defaultdict(list)
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[-2] for name in names})
        for name in names:
            split, label = name.split("/")[0], name.split("/")[-2]
            try:
                rows[SPLITS[split]].append((decode(archive.read(name), spec), classes.index(label)))
            except BadImage:
                print(f"  {name} is damaged, left out")
    if "val" not in rows:
        rows["val"] = rows["train"][::10]
        rows["train"] = [row for number, row in enumerate(rows["train"]) if number % 10]
    return {
        split: (np.stack([p for p, _ in split_rows]), np.array([y for _, y in split_rows]))
        for split, split_rows in rows.items()
    }
