"""The layout of an archive says the class and the split of every picture."""

from collections.abc import Iterable

import pytest

from contract.datasets import Split
from contract.errors import BadDataset, BadImage
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import ImageFile, arrange


def arranged(names: Iterable[str], csv: str = "") -> tuple[set[ImageFile], dict[str, str]]:
    """The pictures, and why files were rejected; every file's content is the CSV."""
    rejections = Rejections()
    pictures = arrange(tuple(names), lambda _: csv.encode(), Limits(), rejections)
    assert len(set(pictures)) == len(pictures)
    return set(pictures), {item.file: item.reason for item in rejections.first()}


def test_class_folders() -> None:
    pictures, rejected = arranged(["cat/1.png", "dog/1.png"])

    assert pictures == {ImageFile("cat/1.png", "cat", None), ImageFile("dog/1.png", "dog", None)}
    assert not rejected


def test_first_folder_is_the_class_however_deep() -> None:
    pictures, _ = arranged(["cat/siam/2024/1.png", "dog/1.png"])

    assert ImageFile("cat/siam/2024/1.png", "cat", None) in pictures


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders(val: str) -> None:
    pictures, rejected = arranged(["train/cat/1.png", f"{val}/dog/2.png", "test/dog/deep/3.png"])

    assert pictures == {
        ImageFile("train/cat/1.png", "cat", Split.TRAIN),
        ImageFile(f"{val}/dog/2.png", "dog", Split.VAL),
        ImageFile("test/dog/deep/3.png", "dog", Split.TEST),
    }
    assert not rejected


def test_picture_in_a_split_needs_a_class() -> None:
    _, rejected = arranged(["train/cat/1.png", "train/dog/1.png", "test/1.png"])

    assert rejected == {"test/1.png": "has no class folder"}


def test_class_may_be_called_train_beside_other_classes() -> None:
    pictures, _ = arranged(["train/1.png", "plane/1.png"])

    assert ImageFile("train/1.png", "train", None) in pictures


def test_manifest() -> None:
    csv = "path,label,split\nimages/a/1.png,cat,train\n./images\\2.png,dog,valid\n3.png,dog,\n"

    pictures, rejected = arranged(["manifest.csv", "images/a/1.png", "images/2.png", "3.png"], csv)

    assert pictures == {
        ImageFile("images/a/1.png", "cat", Split.TRAIN),
        ImageFile("images/2.png", "dog", Split.VAL),
        ImageFile("3.png", "dog", None),
    }
    assert not rejected


def test_manifest_rows_that_do_not_fit_are_rejected() -> None:
    rows = ["1.png,cat,", "2.png,dog,", "1.png,dog,", "gone.png,cat,", "3.png,cat,holdout", "4.png,..,"]
    files = ["labels.csv", *(f"{number}.png" for number in range(1, 6))]

    pictures, rejected = arranged(files, "\n".join(["path,label,split", *rows]))

    assert {picture.name for picture in pictures} == {"1.png", "2.png"}
    assert rejected == {
        "1.png": "in the manifest more than once",
        "gone.png": "in the manifest, but not in the archive",
        "3.png": "'holdout' is no split; write train, val or test",
        "4.png": "'..' cannot be a class name",
        "5.png": "not in the manifest",
    }


def test_manifest_that_cannot_be_read_is_named() -> None:
    def read(_: str) -> bytes:
        raise BadImage("damaged in the archive")

    with pytest.raises(BadDataset, match=r"labels\.csv cannot be read: damaged in the archive"):
        arrange(("labels.csv", "1.png"), read, Limits(), Rejections())


@pytest.mark.parametrize(
    "names",
    [
        ["data/cat/1.png", "data/dog/1.png"],
        ["data/cat/1.png", "data/dog/1.png", "data/LICENSE", "README.md"],
        ["data/train/cat/1.png", "data/train/dog/1.png", "data/test/cat/2.png"],
    ],
)
def test_wrapping_folder_is_seen_through(names: list[str]) -> None:
    pictures, rejected = arranged(names)

    assert {picture.label for picture in pictures} == {"cat", "dog"}
    assert {picture.name for picture in pictures} | rejected.keys() == set(names)
    assert set(rejected.values()) <= {"has no class folder"}


def test_wrapped_manifest_is_found() -> None:
    pictures, _ = arranged(["data/labels.csv", "data/1.png", "data/2.png"], "path,label\n1.png,cat\n2.png,dog\n")

    assert pictures == {ImageFile("data/1.png", "cat", None), ImageFile("data/2.png", "dog", None)}


def test_training_folder_alone_is_a_split_and_no_wrapper() -> None:
    pictures, _ = arranged(["train/cat/1.png", "train/dog/1.png"])

    assert {picture.split for picture in pictures} == {Split.TRAIN}


def test_files_without_a_class_are_rejected() -> None:
    _, rejected = arranged(["1.png", "cat/1.png", "dog/1.png"])

    assert rejected == {"1.png": "has no class folder"}


def test_labels_are_normalised_and_emoji_accepted() -> None:
    pictures, _ = arranged(["cafe\N{COMBINING ACUTE ACCENT} /1.png", "café/2.png", "😀/1.png"])

    assert {picture.label for picture in pictures} == {"café", "😀"}


def test_too_long_label_rejects_its_files() -> None:
    long = "x" * 300

    pictures, rejected = arranged(["cat/1.png", "dog/1.png", f"{long}/1.png"])

    assert {picture.label for picture in pictures} == {"cat", "dog"}
    assert list(rejected.values()) == ["its class name is over 128 characters"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["cat/1.png", "cat/2.png"], "at least two classes, and this has only 'cat'"),
        (["train/cat/1.png"], "only 'cat'"),
        (["data/cat/1.png"], "only 'cat'"),
        (["1.png"], r"no image with a class; rejected: '1.png' \(has no class folder\)"),
        (["train/1.png", "test/1.png"], "no image with a class"),
        ([], "no image with a class$"),
    ],
)
def test_no_data_set(names: list[str], reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        arranged(names)


def test_classes_are_limited() -> None:
    names = [f"{label}/1.png" for label in range(1001)]

    assert len(arranged(names[:1000])[0]) == 1000
    with pytest.raises(BadDataset, match="1001 classes; the limit is 1000"):
        arranged(names)
