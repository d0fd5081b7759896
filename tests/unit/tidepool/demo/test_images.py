import zipfile
from pathlib import Path

import pytest

from tidepool.demo.images import sample_images


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "images.zip"


def fill(archive: Path, *names: str) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.writestr(name, name.encode())


def test_images_alternate_between_classes(archive: Path) -> None:
    fill(archive, "cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png")
    assert [image.label for image in sample_images(archive, 4)] == ["cat", "dog", "cat", "cat"]


def test_the_count_is_a_limit(archive: Path) -> None:
    fill(archive, "cat/1.png", "dog/1.png", "emu/1.png")
    assert [image.content for image in sample_images(archive, 2)] == [b"cat/1.png", b"dog/1.png"]


def test_only_the_test_split_is_used_if_there_is_one(archive: Path) -> None:
    fill(archive, "set/train/cat/1.png", "set/test/cat/2.png", "set/test/dog/3.jpg")
    assert [image.name for image in sample_images(archive, 9)] == ["set/test/cat/2.png", "set/test/dog/3.jpg"]


def test_a_class_named_test_is_not_a_split(archive: Path) -> None:
    fill(archive, "test/1.png", "cat/1.png")
    assert [image.label for image in sample_images(archive, 9)] == ["cat", "test"]


def test_other_files_are_skipped(archive: Path) -> None:
    fill(archive, "cat/", "cat/readme.txt", "loose.png", "cat/1.PNG")
    assert [image.name for image in sample_images(archive, 9)] == ["cat/1.PNG"]


def test_rejected_files_are_excluded(archive: Path) -> None:
    fill(archive, "cat/1.png", "cat/2.png")
    assert [image.name for image in sample_images(archive, 9, exclude=frozenset({"cat/1.png"}))] == ["cat/2.png"]
