"""Classes that are hard to learn or to measure are warned of, and do not fail the dataset."""

import pytest

from contract.datasets import DatasetWarning, Split
from services.preprocess.class_warnings import class_warnings

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST
GOOD = {"cat": (8, 1, 1), "dog": (8, 1, 1)}


def warned(counts: dict[str, tuple[int, int, int]]) -> dict[str, DatasetWarning]:
    by_split = {split: {label: by[at] for label, by in counts.items()} for at, split in enumerate(Split)}
    return {warning.code: warning for warning in class_warnings(by_split)}


def test_classes_in_all_splits_give_no_warning() -> None:
    assert not warned(GOOD)


@pytest.mark.parametrize(
    ("counts", "codes"),
    [
        ((1, 0, 0), {"one_image_classes"}),
        ((5, 0, 0), {"untested_classes"}),
        ((5, 1, 0), set()),
        ((0, 3, 0), {"untrained_classes"}),
        ((0, 1, 2), {"untrained_classes"}),
        ((0, 0, 1), {"untrained_classes", "one_image_classes"}),
        ((0, 0, 0), {"empty_classes"}),
    ],
)
def test_a_doubtful_class_is_named(counts: tuple[int, int, int], codes: set[str]) -> None:
    warnings = warned(GOOD | {"owl": counts})

    assert warnings.keys() == codes
    assert all(warning.examples == ("owl",) and warning.count == 1 for warning in warnings.values())


def test_a_dataset_without_held_out_images_misses_none() -> None:
    assert not warned({"cat": (5, 0, 0), "dog": (5, 0, 0)})


def test_many_classes_are_counted_and_ten_shown() -> None:
    warning = warned(GOOD | {f"owl{number:02d}": (1, 0, 0) for number in range(30)})["one_image_classes"]

    assert (warning.count, len(warning.examples)) == (30, 10)
    assert warning.message == "30 classes have only one image"


@pytest.mark.parametrize("other", ["Cat", "CAT", "ca t", "ca_t", "ca-t"])
def test_names_that_differ_in_case_or_separators_are_warned_of(other: str) -> None:
    label = "cat" if other.lower() == "cat" else "ca  t"

    warning = warned({label: (8, 1, 1), other: (8, 1, 1), "dog": (8, 1, 1)})["similar_class_names"]

    assert warning.examples == (" = ".join(sorted([label, other])),)
