"""Sources yield images in the same order, as a whole or in slices."""

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.errors import BadArchive, BadImage
from contract.images import ImageSpec
from media.archives.limits import Limits
from services.inference.batch.sources import ArchiveSource, ImageItem, ShardSource, planned_files
from services.storage.memory_objects import MemoryObjects
from tests.support.images import encoded, noise, zipped
from tests.support.onnx_models import random_images
from tests.support.prediction_data import stored_shards
from worker.members import Members
from worker.slicing import Slice

SPEC = ImageSpec(size=(8, 8))
CLASSES = ("cat", "dog")


def pixels(item: ImageItem) -> NDArray[np.uint8]:
    """Return the pixels of a readable image."""
    assert not isinstance(item.pixels, BadImage)
    return item.pixels


@pytest.mark.parametrize("edges", [(0, 11), (0, 1, 5, 6, 11), (0, 4, 8, 11)])
def test_slices_of_shards_hold_all_images_in_order(tmp_path: Path, edges: tuple[int, ...]) -> None:
    # given eleven images in three shards
    images, labels = random_images(11), np.arange(11) % 2
    objects = MemoryObjects()
    source = ShardSource(stored_shards(objects, images, labels, 3), CLASSES, objects.fetch, tmp_path)

    # when slices of them are read
    slices = [Slice(start=start, stop=stop) for start, stop in pairwise(edges)]
    items = [item for part in slices for item in source.items(part)]

    # then they hold all images, in order
    assert len(source) == 11
    assert [item.image for item in items] == list(range(11))
    assert [item.label for item in items] == [CLASSES[label] for label in labels]
    assert all(np.array_equal(pixels(item), image) for item, image in zip(items, images, strict=True))


def test_only_the_shards_of_the_slice_are_fetched(tmp_path: Path) -> None:
    objects = MemoryObjects()
    shards = stored_shards(objects, random_images(9), np.zeros(9, np.int64), 3)
    fetched: list[str] = []

    def fetch(ref: ObjectRef, path: Path) -> None:
        fetched.append(ref.key)
        objects.fetch(ref, path)

    items = list(ShardSource(shards, CLASSES, fetch, tmp_path).items(Slice(start=3, stop=6)))

    assert len(items) == 3
    assert fetched == [shards[1].images.key, shards[1].labels.key]


def archive_items(path: Path) -> list[ImageItem]:
    source = ArchiveSource(Members.of_file(planned_files(path, Limits()), path, Limits()), SPEC)
    return list(source.items(Slice(start=0, stop=len(source))))


def test_an_archive_yields_every_file_of_every_folder(tmp_path: Path) -> None:
    files = {"z/deep/3.png": encoded(noise(seed=3)), "b.zip": b"PK", "1.png": encoded(noise(seed=1)), "a.txt": b"text"}

    items = archive_items(zipped(tmp_path / "upload.zip", files))

    assert [item.image for item in items] == ["z/deep/3.png", "1.png", "a.txt", "b.zip"]
    assert np.array_equal(pixels(items[0]), noise(seed=3).transpose(2, 0, 1))
    assert np.array_equal(pixels(items[1]), noise(seed=1).transpose(2, 0, 1))
    assert [item.sha256 for item in items[:3]] == [hashlib.sha256(files[str(i.image)]).hexdigest() for i in items[:3]]
    reasons = [item.pixels.message for item in items if isinstance(item.pixels, BadImage)]
    assert reasons == ["not a readable image: text; leave it out", "nested archive"]


def test_an_archive_without_files_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="no file to classify"):
        archive_items(zipped(tmp_path / "upload.zip", {"cat/": b""}))
