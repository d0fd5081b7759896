"""Public datasets hold copies of themselves, and folders that are no classes, beside their class folders."""

from collections.abc import Iterable

import pytest

from contract.datasets import Split
from contract.errors import BadDataset
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import arrange
from services.preprocess.warnings import Warnings

OUTSIDE = "outside of the folder that holds the classes"
TRAIN, TEST = Split.TRAIN, Split.TEST


def images(folders: Iterable[str], suffix: str = ".jpg") -> list[str]:
    return [f"{folder}/{number}{suffix}" for folder in folders for number in range(2)]


def placed(names: list[str]) -> tuple[dict[str, tuple[str, Split | None]], dict[str, str], Warnings]:
    """Return the label and split of each image, the reasons of rejected files, and the warnings."""
    rejections, warnings = Rejections(), Warnings()
    files = arrange(tuple(names), lambda _: b"", Limits(), rejections, warnings=warnings)
    rejected = {item.file: item.reason for item in rejections.first()}
    assert sorted([*(image.name for image in files), *rejected]) == sorted(names)
    return {image.name: (image.label, image.split) for image in files}, rejected, warnings


def classes(folder: str, names: Iterable[str] = ("cat", "dog", "owl")) -> list[str]:
    return images(f"{folder}{name}" for name in names)


@pytest.mark.parametrize(
    ("dataset", "strays"),
    [
        (classes("PlantVillage/"), classes("PlantVillage/PlantVillage/")),  # its copy inside
        (classes("PlantVillage/"), classes("plantvillage/PlantVillage/")),  # its copy in another wrapper
        (classes("asl_dataset/", "0123"), classes("asl_dataset/asl_dataset/", "0123")),
        (classes("food-101/images/"), [*classes("food-101/food-101/images/"), "food-101/meta/train.txt"]),
        (classes("Digits-master/Dataset/", "0123"), images(["Digits-master/Examples"])),
        (classes("repo-main/data/"), images(["repo-main/docs/img", "repo-main/screenshots"])),
        (classes("images/Images/"), images((f"annotations/Annotation/{name}" for name in ("cat", "dog")), "")),
        (classes("images/"), images(["sample images"])),
        (classes("CUB_200_2011/images/"), classes("segmentations/")),
        (classes("simpsons_dataset/"), classes("simpsons_dataset/simpsons_dataset/") + images(["testset/testset"])),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "archive/"])
def test_copies_and_what_lies_beside_the_classes_is_ignored(
    dataset: list[str], strays: list[str], wrapper: str
) -> None:
    labelled, rejected, warnings = placed([wrapper + name for name in [*dataset, *strays]])

    assert labelled.keys() == {wrapper + name for name in dataset}
    assert all(label == name.split("/")[-2] and split is None for name, (label, split) in labelled.items())
    assert rejected == {wrapper + name: OUTSIDE for name in strays}
    assert [(warning.code, warning.count) for warning in warnings.all] == [("ignored_files", len(strays))]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([*classes(""), *classes("test/")], r"'test' beside 'cat' may be a split or a class.*folder called train"),
        ([*classes("train/"), *classes("extra/")], "'train' beside 'extra' may be a split or a class"),
        ([*classes(""), *classes("more/")], r"'more' beside 'cat' may be a class or a second set.*send it alone"),
        (
            [
                f"{size}/{inner}/{name}"
                for size, inner in (("100x100", "fruits"), ("original", "original"))
                for name in classes("Training/") + classes("Test/")
            ],
            "'100x100' and 'original' each have folders for training and testing; send only one",
        ),
    ],
)
def test_a_second_set_of_the_classes_is_refused(names: list[str], reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        placed(names)


@pytest.mark.parametrize(
    "names",
    [
        classes("1/", "123") + classes("2/", "123") + classes("3/", "123"),  # sessions
        images(["photos/2023", "photos/2024", "drawings", "sculptures"]),
        classes("cat/", ["2023", "2024"]) + classes("dog/", ["2023", "2024"]),
        images(["cat", "dog", "images"]),
        classes("rock/", "12") + classes("paper/", "12"),
        classes("with_mask/", "12") + classes("without_mask/", "12"),
        classes("train/", ["2023", "2024"]) + classes("plane/", ["2023", "2024"]),
    ],
)
def test_classes_that_only_resemble_copies_are_kept(names: list[str]) -> None:
    labelled, rejected, _ = placed(names)

    assert {label for label, _ in labelled.values()} == {name.partition("/")[0] for name in names}
    assert not rejected


def test_a_held_out_split_without_class_folders_has_no_class() -> None:
    training = images(["t/train/n01/images", "t/train/n02/images"])
    held_out = images(["t/val/images", "t/test/images"])

    labelled, rejected, warnings = placed([*training, *held_out, "t/val/val_annotations.txt"])

    assert labelled == {name: (name.split("/")[2], TRAIN) for name in training}
    assert rejected == dict.fromkeys([*held_out, "t/val/val_annotations.txt"], "has no class folder")
    assert warnings.all[-1].count == len(rejected)


def test_a_class_called_images_in_all_splits_is_a_class() -> None:
    labelled, _, _ = placed(images(["train/images", "train/text", "test/images"]))

    assert labelled["test/images/0.jpg"] == ("images", TEST)


def test_equal_folders_in_all_classes_are_warned_of() -> None:
    _, _, warnings = placed([name for mode in ("color", "grayscale") for name in classes(f"{mode}/")])

    assert warnings.all[0].code == "nested_class_folders"
    assert "if these are the classes, send one of the first folders alone" in warnings.all[0].advice


@pytest.mark.parametrize(
    "names",
    [
        [*images(["images"]), *images(["annotations/trimaps"], ".png")],  # Oxford-IIIT Pet
        [*images(["JPEGImages"]), *images(["SegmentationClass", "SegmentationObject"], ".png")],
        images(["train/images", "train/masks", "test/images", "test/masks"]),
        images(["data/img", "data/gt"]),
    ],
)
def test_images_beside_annotations_are_no_classes(names: list[str]) -> None:
    with pytest.raises(BadDataset, match=r"^the folders .* do not name classes; read as .* manifest\.csv"):
        placed(names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([f"train/{word}.{number}.jpg" for word in ("cat", "dog") for number in range(3)], "'cat', 'dog'"),
        ([f"dataset2/{word}{number}.jpg" for word in ("cloudy", "rain") for number in range(3)], "'cloudy', 'rain'"),
        ([f"training/{word}_{number}.jpg" for word in (0, 1) for number in range(3)], "'0', '1'"),
    ],
)
def test_names_of_images_that_may_say_the_class_are_pointed_out(names: list[str], words: str) -> None:
    with pytest.raises(BadDataset, match=f"the names of the images begin with {words}, which may be the classes"):
        placed(names)


def test_numbered_names_of_images_are_not_pointed_out() -> None:
    with pytest.raises(BadDataset, match="no image with a class") as caught:
        placed([f"IMG_{number}.jpg" for number in range(4)])

    assert "begin with" not in caught.value.message


def test_folders_named_for_parts_of_the_images_are_warned_of_as_classes() -> None:
    labelled, _, warnings = placed(images(["images_part_1", "images_part_2"]))

    assert len(labelled) == 4
    assert [(warning.code, warning.count) for warning in warnings.all] == [("doubtful_class_names", 2)]
    assert not placed(images(["images_part_1", "cat"]))[2].all
