"""Folders are taken for wrappers, splits or classes as people mean them."""

from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import arrange

STRAY = "not in a split folder"
TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST


def placed(names: Iterable[str]) -> tuple[dict[str, tuple[str, Split | None]], dict[str, str]]:
    """Return the label and split of each image, and the reasons of rejected files; no file is lost."""
    names, rejections = tuple(names), Rejections()
    images = arrange(names, lambda _: b"", Limits(), rejections)
    rejected = {item.file: item.reason for item in rejections.first()}
    assert sorted([*(image.name for image in images), *rejected]) == sorted(names)
    return {image.name: (image.label, image.split) for image in images}, rejected


@pytest.mark.parametrize(
    ("train", "held_out", "split"),
    [
        ("train", "val", VAL),
        ("Training", "Testing", TEST),
        ("TRAIN", "Valid", VAL),
        ("train", "dev", VAL),
        ("seg_train", "seg_test", TEST),
        ("training_set", "test_set", TEST),
        ("asl_alphabet_train", "asl_alphabet_test", TEST),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "archive/", "archive/archive/", "data/brain tumor/"])
@pytest.mark.parametrize("stray", [[], ["unlabeled/1.jpg"], ["pred/seg_pred/1.jpg"], ["extra/cat/1.jpg", "more/1.jpg"]])
def test_splits_are_found_in_wrappers_and_beside_strays(
    train: str, held_out: str, split: Split, wrapper: str, stray: list[str]
) -> None:
    single, doubled = [f"{train}/cat/1.jpg", f"{train}/dog/a/2.jpg"], [f"{held_out}/{held_out}/dog/3.jpg"]
    images, rejected = placed(wrapper + name for name in [*single, *doubled, *stray])

    assert images == {
        wrapper + single[0]: ("cat", TRAIN),
        wrapper + single[1]: ("dog", TRAIN),
        wrapper + doubled[0]: ("dog", split),
    }
    assert rejected == {wrapper + name: STRAY for name in stray}


SPLITS = ["train/cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg", "val/dog/4.jpg"]


@pytest.mark.parametrize("wrapper", ["", "archive/"])
def test_a_copy_of_the_wrapper_beside_the_splits_is_rejected(wrapper: str) -> None:
    images, rejected = placed(f"{wrapper}{inner}{name}" for inner in ("", "archive/") for name in SPLITS)

    assert images.keys() == {wrapper + name for name in SPLITS}
    assert rejected == {f"{wrapper}archive/{name}": STRAY for name in SPLITS}


def test_a_copy_of_a_split_folder_in_itself_is_rejected() -> None:
    images, rejected = placed([*SPLITS, "train/train/cat/1.jpg", "train/train/dog/2.jpg"])

    assert images.keys() == set(SPLITS)
    assert set(rejected.values()) == {"in a copy of its split folder"}


def test_the_one_folder_that_holds_splits_is_the_dataset() -> None:
    images, rejected = placed([*(f"data/{name}" for name in SPLITS), "pred/1.jpg", "notes.txt"])

    assert images.keys() == {f"data/{name}" for name in SPLITS}
    assert rejected == {"pred/1.jpg": STRAY, "notes.txt": "has no class folder"}


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["cat/1.jpg", "dog/1.jpg", "test/1.jpg"], {"cat", "dog", "test"}),
        (["cat/1.jpg", "dog/1.jpg", "test/a/1.jpg", "val/1.jpg"], {"cat", "dog", "test", "val"}),
        (["train/1.jpg", "plane/1.jpg"], {"train", "plane"}),
        (["test_images/cat/1.jpg", "test_images/dog/1.jpg"], {"cat", "dog"}),
        (["training set/cat/1.jpg", "training set/dog/1.jpg"], {"cat", "dog"}),
        (["seg_train/seg_train/cat/1.jpg", "seg_train/seg_train/dog/1.jpg"], {"cat", "dog"}),
        (["train/2023/1.jpg", "train/2024/1.jpg", "plane/2023/1.jpg"], {"train", "plane"}),
        (["steam_train/1.jpg", "toy_train/1.jpg"], {"steam_train", "toy_train"}),
        (["cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg", "dog/test/4.jpg"], {"cat", "dog"}),
        (["Apple/Golden/1.jpg", "Pear/2024/01/1.jpg"], {"Apple", "Pear"}),
    ],
)
def test_classes_may_have_the_names_of_splits(names: list[str], classes: set[str]) -> None:
    images, rejected = placed(names)

    assert {label for label, _ in images.values()} == classes
    assert {split for _, split in images.values()} == {None}
    assert not rejected


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["train/cat/1.jpg", "train/dog/2.jpg", "more/1.jpg"], "'train' beside 'more' may be a split or a class"),
        (["train/1.jpg", "plane/1.jpg", "test/1.jpg"], "'train' beside 'plane' may be"),
        ([f"{folder}/{name}" for folder in ("small", "full") for name in SPLITS], "'small' and 'full' each have"),
    ],
)
def test_what_cannot_be_told_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        placed(names)


PARTS = st.sampled_from(
    ["train", "Training", "test", "val", "cat", "dog", "archive", "seg_train", "a.csv", "labels.csv"]
)
NAMES = st.builds(
    lambda folders, number: "/".join([*folders, number]), st.lists(PARTS, max_size=4), st.sampled_from("12")
)


@given(st.lists(st.one_of(NAMES, st.sampled_from(["a.csv", "b.csv", "archive/a.csv"])), unique=True, max_size=12))
def test_no_file_is_lost_however_folders_are_arranged(names: list[str]) -> None:
    with suppress(BadDataset):
        images, rejected = placed(names)
        assert len(images) + len(rejected) == len(names)
