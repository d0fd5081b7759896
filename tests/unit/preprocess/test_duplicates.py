"""Equal images are found by their hash, and described with what to do."""

import tracemalloc
from collections.abc import Iterator
from hashlib import sha256

import pytest

from contract.datasets import DatasetWarning, Split
from services.preprocess.duplicates import duplicate_warnings

Image = tuple[str, str, Split, str]
TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST


def image(content: str, path: str, split: Split = TRAIN, label: str = "cat") -> Image:
    return sha256(content.encode()).hexdigest(), path, split, label


def warned(*rows: Image) -> dict[str, DatasetWarning]:
    return {warning.code: warning for warning in duplicate_warnings(rows)}


def test_different_images_give_no_warning() -> None:
    assert not warned()
    assert not warned(image("a", "1.png"), image("b", "2.png", TEST, "dog"))


def test_copies_within_a_class_and_split_are_counted_beyond_the_first() -> None:
    warnings = warned(
        image("a", "1.png"), image("b", "2.png"), *(image("a", f"{number}.png") for number in range(3, 8))
    )

    assert warnings.keys() == {"duplicate_images"}
    assert warnings["duplicate_images"].count == 5
    assert warnings["duplicate_images"].examples == ("1.png = 3.png = 4.png = 3 more",)
    assert warnings["duplicate_images"].message == "5 images are copies of another one"


@pytest.mark.parametrize(
    ("splits", "count"),
    [((TRAIN, TEST), 1), ((TRAIN, VAL), 1), ((VAL, TEST), 1), ((TRAIN, VAL, TEST), 2), ((TRAIN, TRAIN, TEST, TEST), 2)],
)
def test_images_of_a_split_that_another_split_has_are_counted(splits: tuple[Split, ...], count: int) -> None:
    warnings = warned(*(image("a", f"{number}.png", split) for number, split in enumerate(splits)))

    assert warnings["images_in_several_splits"].count == count
    assert warnings["duplicate_images"].count == len(splits) - 1
    assert "images_with_several_labels" not in warnings


def test_an_image_under_two_labels_is_counted_once() -> None:
    warnings = warned(
        image("a", "cat/1.png"), image("a", "dog/1.png", label="dog"), image("a", "owl/1.png", label="owl")
    )

    assert warnings["images_with_several_labels"].count == 1
    assert warnings["images_with_several_labels"].examples == ("cat/1.png = dog/1.png = owl/1.png",)
    assert warnings["images_with_several_labels"].message == "1 image has more than one label"


def test_ten_examples_are_shown_in_the_order_of_rows() -> None:
    rows = [image(str(number), f"{copy}/{number:02d}.png") for copy in "ab" for number in range(30)]

    warning = warned(*rows)["duplicate_images"]

    assert warning.count == 30
    assert warning.examples == tuple(f"a/{number:02d}.png = b/{number:02d}.png" for number in range(10))


def test_a_row_takes_little_memory() -> None:
    def rows(count: int) -> Iterator[Image]:
        for number in range(count):
            yield image(str(number // 2), f"folder/image-{number:07d}.png")

    tracemalloc.start()
    try:
        (warning,) = duplicate_warnings(rows(20_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert warning.count == 10_000
    assert peak < 20_000 * 300
