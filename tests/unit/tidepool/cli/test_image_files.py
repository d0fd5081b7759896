"""Which files `tidepool predict` sends"""

from pathlib import Path

import pytest

from tidepool.cli.exits import WrongUsage
from tidepool.cli.image_files import find_images


def touch(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*arguments: str) -> list[str]:
    return [str(path) for path in find_images([Path(argument) for argument in arguments]).paths]


def test_a_folder_stands_for_its_images_at_any_depth_by_name() -> None:
    touch("new/b.jpg", "new/a.HEIC", "new/sub/c.png", "new/sub/deep/d", "z.jpg")

    assert found("z.jpg", "new") == ["z.jpg", "new/a.HEIC", "new/b.jpg", "new/sub/c.png", "new/sub/deep/d"]


def test_hidden_files_and_by_products_are_left_out() -> None:
    touch("new/a.jpg", "new/.hidden.jpg", "new/.cache/b.jpg", "new/@eaDir/c.jpg", "new/__MACOSX/d.jpg", "new/Thumbs.db")

    assert found("new") == ["new/a.jpg"]
    assert find_images([Path("new")]).note() is None


def test_other_files_of_a_folder_are_counted_and_named_ones_are_sent() -> None:
    touch("new/a.jpg", "new/b.txt", "new/c.TXT", "new/d.mp4", "e.txt")

    files = find_images([Path("new"), Path("e.txt")])

    assert [str(path) for path in files.paths] == ["new/a.jpg", "e.txt"]
    assert files.note() == "Skipped 3 files that are no images by their names: .txt, .mp4"


def test_paths_that_do_not_exist_are_wrong_usage() -> None:
    touch("a.jpg")

    with pytest.raises(WrongUsage, match=r"^b\*\.jpg \(and 1 more\) does not exist"):
        find_images([Path("a.jpg"), Path("b*.jpg"), Path("c.jpg")])


def test_a_folder_without_images_is_wrong_usage() -> None:
    touch("new/a.txt")

    with pytest.raises(WrongUsage, match="There are no images in new"):
        find_images([Path("new")])
