"""The data sets are the same at each run, have the shapes and counts promised, and their splits do not overlap."""

import io
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.training.datasets import DATA_SETS, Generated
from benchmarks.training.photos import MissingFile, ZipFile

GENERATED = {name: dataset for name, dataset in DATA_SETS.items() if isinstance(dataset, Generated)}
SHAPES = {
    "letters": (32, 32),
    "letters-imbalanced": (32, 32),
    "shapes": (64, 64, 3),
    "shapes-tiny": (64, 64, 3),
    "textures": (96, 96, 3),
    "scans": (128, 128),
    "hands": (100, 100, 3),
}


@pytest.mark.parametrize("name", GENERATED)
def test_each_class_is_drawn_the_same_way_again_in_the_shape_promised(name: str) -> None:
    dataset = GENERATED[name]
    for label in range(len(dataset.classes)):
        first, second = (dataset.draw(np.random.default_rng(label), label) for _ in range(2))
        assert (first.dtype, first.shape) == (np.uint8, SHAPES[name])
        assert np.array_equal(first, second)


def test_a_generated_zip_is_the_same_at_each_run_and_its_splits_do_not_overlap(tmp_path: Path) -> None:
    dataset = Generated(("A", "B"), GENERATED["letters"].draw, (4, 2, 3))
    first, second = (dataset.write(tmp_path / f"{name}.zip", tmp_path).read_bytes() for name in ("first", "second"))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        names = archive.namelist()
        pixels = [np.asarray(Image.open(io.BytesIO(archive.read(name)))).tobytes() for name in names]
    folders = Counter(name.rpartition("/")[0] for name in names)
    counts = {"train": 4, "validation": 2, "test": 3}
    assert folders == {f"{split}/{label}": count for split, count in counts.items() for label in "AB"}
    assert len(set(pixels)) == len(pixels)


def test_imbalance_is_that_of_the_first_class_to_the_last_one_and_leaves_test_alone() -> None:
    dataset = GENERATED["letters-imbalanced"]
    counts = [dataset.count("train", label) for label in range(26)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] / counts[-1] == 60
    assert {dataset.count("test", label) for label in range(26)} == {40}
    assert min(dataset.count("validation", label) for label in range(26)) == 1


def test_a_sample_of_a_zip_has_so_many_images_of_each_class_and_is_the_same_again(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("LICENSE", "CC0")
        for split in ("train", "validation", "test"):
            for number in range(20):
                archive.writestr(f"{split}/cat/{number}.jpg", f"{split} {number}")
    dataset = ZipFile("photos.zip", most=(10, 3, None))
    first, second = (dataset.write(tmp_path / f"{name}.zip", tmp_path).read_bytes() for name in ("first", "second"))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        folders = Counter(name.rpartition("/")[0] for name in archive.namelist())
    assert folders == {"train/cat": 10, "validation/cat": 3, "test/cat": 20}


def test_a_missing_zip_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"has no photos\.zip; name the folder that has it with --data"):
        ZipFile("photos.zip").write(tmp_path / "out.zip", tmp_path)
