import zipfile
from pathlib import Path

import pytest

from tidepool.demo.images import pictures_of


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "pictures.zip"


def fill(archive: Path, *names: str) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.writestr(name, name.encode())


def test_the_classes_take_turns(archive: Path) -> None:
    fill(archive, "cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png")
    assert [picture.label for picture in pictures_of(archive, 4)] == ["cat", "dog", "cat", "cat"]


def test_no_more_than_asked_for(archive: Path) -> None:
    fill(archive, "cat/1.png", "dog/1.png", "emu/1.png")
    assert [picture.content for picture in pictures_of(archive, 2)] == [b"cat/1.png", b"dog/1.png"]


def test_where_there_is_a_test_split_only_that(archive: Path) -> None:
    fill(archive, "set/train/cat/1.png", "set/test/cat/2.png", "set/test/dog/3.jpg")
    assert [picture.name for picture in pictures_of(archive, 9)] == ["set/test/cat/2.png", "set/test/dog/3.jpg"]


def test_a_class_called_test_is_no_split(archive: Path) -> None:
    fill(archive, "test/1.png", "cat/1.png")
    assert [picture.label for picture in pictures_of(archive, 9)] == ["cat", "test"]


def test_what_is_no_picture_is_passed_over(archive: Path) -> None:
    fill(archive, "cat/", "cat/readme.txt", "loose.png", "cat/1.PNG")
    assert [picture.name for picture in pictures_of(archive, 9)] == ["cat/1.PNG"]


def test_what_the_data_set_rejected_is_not_tried(archive: Path) -> None:
    fill(archive, "cat/1.png", "cat/2.png")
    assert [picture.name for picture in pictures_of(archive, 9, but=frozenset({"cat/1.png"}))] == ["cat/2.png"]
