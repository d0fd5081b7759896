"""The class and split of every image, from the layout of the archive."""

from collections.abc import Iterable

import pytest

from contract.datasets import Split
from contract.errors import BadDataset, BadImage
from contract.labels import label_fault, normalised_label
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.image_files import ImageFile
from services.preprocess.layout import arrange


def arranged(names: Iterable[str], csv: str = "") -> tuple[set[ImageFile], dict[str, str]]:
    """Return the images and the reasons of rejected files; every file contains the CSV."""
    rejections = Rejections()
    images = arrange(tuple(names), lambda _: csv.encode(), Limits(), rejections)
    assert len(set(images)) == len(images)
    return set(images), {item.file: item.reason for item in rejections.first()}


def test_folders_name_the_classes() -> None:
    images, rejected = arranged(["cat/1.png", "dog/1.png"])

    assert images == {ImageFile("cat/1.png", "cat", None), ImageFile("dog/1.png", "dog", None)}
    assert not rejected


def test_the_first_folder_is_the_class_of_all_files_below_it() -> None:
    images, _ = arranged(["cat/siam/2024/1.png", "dog/1.png"])

    assert ImageFile("cat/siam/2024/1.png", "cat", None) in images


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_folders_called_train_val_and_test_name_the_splits(val: str) -> None:
    images, rejected = arranged(["train/cat/1.png", f"{val}/dog/2.png", "test/dog/deep/3.png"])

    assert images == {
        ImageFile("train/cat/1.png", "cat", Split.TRAIN),
        ImageFile(f"{val}/dog/2.png", "dog", Split.VAL),
        ImageFile("test/dog/deep/3.png", "dog", Split.TEST),
    }
    assert not rejected


def test_an_image_in_a_split_needs_a_class() -> None:
    _, rejected = arranged(["train/cat/1.png", "train/dog/1.png", "test/1.png"])

    assert rejected == {"test/1.png": "has no class folder"}


def test_a_class_may_be_called_train_beside_other_classes() -> None:
    images, _ = arranged(["train/1.png", "plane/1.png"])

    assert ImageFile("train/1.png", "train", None) in images


def test_a_manifest_gives_classes_and_splits() -> None:
    csv = "path,label,split\nimages/a/1.png,cat,train\n./images\\2.png,dog,valid\n3.png,dog,\n"

    images, rejected = arranged(["manifest.csv", "images/a/1.png", "images/2.png", "3.png"], csv)

    assert images == {
        ImageFile("images/a/1.png", "cat", Split.TRAIN),
        ImageFile("images/2.png", "dog", Split.VAL),
        ImageFile("3.png", "dog", None),
    }
    assert not rejected


def test_manifest_rows_that_match_no_file_or_split_are_rejected() -> None:
    rows = ["1.png,cat,", "2.png,dog,", "1.png,dog,", "gone.png,cat,", "3.png,cat,holdout", "4.png,..,"]
    files = ["labels.csv", *(f"{number}.png" for number in range(1, 6))]

    images, rejected = arranged(files, "\n".join(["path,label,split", *rows]))

    assert {image.name for image in images} == {"1.png", "2.png"}
    assert rejected == {
        "1.png": "in the manifest more than once",
        "gone.png": "in the manifest, but not in the archive",
        "3.png": "'holdout' is not a split; write train, val or test",
        "4.png": "'..' cannot be a class name",
        "5.png": "not in the manifest",
    }


def test_an_unreadable_manifest_is_named_in_the_error() -> None:
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
def test_a_wrapping_folder_is_skipped(names: list[str]) -> None:
    images, rejected = arranged(names)

    assert {image.label for image in images} == {"cat", "dog"}
    assert {image.name for image in images} | rejected.keys() == set(names)
    assert set(rejected.values()) <= {"has no class folder"}


def test_a_manifest_in_a_wrapping_folder_is_found() -> None:
    images, _ = arranged(["data/labels.csv", "data/1.png", "data/2.png"], "path,label\n1.png,cat\n2.png,dog\n")

    assert images == {ImageFile("data/1.png", "cat", None), ImageFile("data/2.png", "dog", None)}


def test_a_single_training_folder_is_a_split_and_not_a_wrapper() -> None:
    images, _ = arranged(["train/cat/1.png", "train/dog/1.png"])

    assert {image.split for image in images} == {Split.TRAIN}


def test_files_without_a_class_are_rejected() -> None:
    _, rejected = arranged(["1.png", "cat/1.png", "dog/1.png"])

    assert rejected == {"1.png": "has no class folder"}


def test_labels_are_normalised_and_emoji_accepted() -> None:
    images, _ = arranged(["cafe\N{COMBINING ACUTE ACCENT} /1.png", "café/2.png", "😀/1.png"])

    assert {image.label for image in images} == {"café", "😀"}


def test_a_too_long_label_rejects_its_files() -> None:
    long = "x" * 300

    images, rejected = arranged(["cat/1.png", "dog/1.png", f"{long}/1.png"])

    assert {image.label for image in images} == {"cat", "dog"}
    assert list(rejected.values()) == ["its class name is over 128 characters"]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["cat/1.png", "cat/2.png"], "at least two classes, and this has only 'cat'"),
        (["train/cat/1.png"], "only 'cat'"),
        (["data/cat/1.png"], "only 'cat'"),
        (["1.png"], r"no image with a class; rejected: '1.png' \(has no class folder\)"),
        (["train/1.png", "test/1.png"], "no image with a class"),
        ([], "no image with a class; put the images of each class in a folder of its own, or add a manifest"),
    ],
)
def test_an_archive_without_two_classes_is_rejected(names: list[str], reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        arranged(names)


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["cat/1.png", "cat/2.png"], "read as class folders; the first paths are 'cat/1.png', 'cat/2.png'"),
        (["a/b/1.png", "a/b/2.png"], "read as class folders in 'a'; the first paths are 'a/b/1.png', 'a/b/2.png'"),
        (["train/1.png", "test/1.png"], "read as splits named by test, train, with class folders in them; the first"),
        (["labels.csv", "1.png"], r"read with the manifest labels\.csv; the first paths are 'labels\.csv', '1\.png'"),
    ],
)
def test_a_failed_dataset_says_which_layout_was_assumed(names: list[str], layout: str) -> None:
    with pytest.raises(BadDataset, match=layout):
        arranged(names, "path,label\n1.png,cat\n")


def test_a_failed_dataset_shows_ten_paths_of_bounded_length() -> None:
    names = ["x" * 1000 + f"{number}.png" for number in range(20)]

    with pytest.raises(BadDataset) as caught:
        arranged(names)

    shown = caught.value.message.partition("the first paths are ")[2]
    assert shown.count("…") == 10
    assert len(caught.value.message) < 3500


def test_the_number_of_classes_is_limited() -> None:
    names = [f"{label}/1.png" for label in range(1001)]

    assert len(arranged(names[:1000])[0]) == 1000
    with pytest.raises(BadDataset, match="1001 classes; the limit is 1000"):
        arranged(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  cat ", "cat"), ("e\N{COMBINING ACUTE ACCENT}te", "éte"), ("\u00a0two words\n", "two words")],
)
def test_labels_are_normalised_to_nfc_and_stripped(text: str, expected: str) -> None:
    assert normalised_label(text) == expected


@pytest.mark.parametrize("label", ["cat", "two words", "猫", "😀", "👩‍🚀", "🫨", "x" * 128, "..."])
def test_printable_labels_are_accepted(label: str) -> None:
    assert label_fault(label) is None


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "empty"),
        (".", "cannot be a class name"),
        ("..", "cannot be a class name"),
        ("x" * 300, "over 128 characters"),
        ("a\tb", "unprintable"),
        ("a\u202eb", "unprintable"),
        ("a\ud800b", "unprintable"),
    ],
)
def test_labels_that_cannot_be_class_names_are_rejected(label: str, reason: str) -> None:
    fault = label_fault(label)

    assert fault is not None
    assert reason in fault
