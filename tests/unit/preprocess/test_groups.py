"""Groups stay whole, and splits keep their shares as well as groups allow."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.datasets import Split, SplitSpec
from services.preprocess.image_files import ImageFile
from services.preprocess.split import assign_splits
from services.preprocess.warnings import Warnings

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST
SPEC = SplitSpec(group_by="patient")


def grouped(count: int, size: int, classes: int = 3, seed: int = 0) -> list[ImageFile]:
    """Make groups of `size` images, each of one or two classes."""
    rng = random.Random(seed)
    return [
        ImageFile(f"{group}/{number}.png", f"c{rng.choice([group, group + 1]) % classes}", None, f"g{group}")
        for group in range(count)
        for number in range(size)
    ]


def splits_of(images: list[ImageFile], spec: SplitSpec = SPEC) -> dict[str, set[Split]]:
    splits: dict[str, set[Split]] = defaultdict(set)
    for split, members in assign_splits(images, spec).items():
        for image in members:
            splits[image.group or image.name].add(split)
    return splits


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=30),
    labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=7),
    seed=st.integers(0, 2**32 - 1),
    order=st.randoms(use_true_random=False),
)
def test_groups_are_whole_and_each_class_is_trained(
    sizes: list[int], labels: list[str], seed: int, order: random.Random
) -> None:
    images = [
        ImageFile(f"{group}/{number}", labels[(group + number) % len(labels)], None, f"g{group}" if group else None)
        for group, size in enumerate(sizes)
        for number in range(size)
    ]
    spec = SplitSpec(group_by=1, seed=seed)

    splits = assign_splits(images, spec)

    assert assign_splits(order.sample(images, len(images)), spec) == splits
    assert all(len(used) == 1 for used in splits_of(images, spec).values())
    assert sum(map(len, splits.values())) == len(images)
    assert {image.label for image in splits[TRAIN]} == {image.label for image in images}


@pytest.mark.parametrize(("count", "size"), [(100, 1), (100, 7), (1000, 3), (20, 50)])
def test_shares_hold_within_each_class(count: int, size: int) -> None:
    images = grouped(count, size)
    totals = Counter(image.label for image in images)

    splits = assign_splits(images, SPEC)

    for split, share in ((TRAIN, 0.8), (VAL, 0.1), (TEST, 0.1)):
        counts = Counter(image.label for image in splits[split])
        for label, total in totals.items():
            assert abs(counts[label] - share * total) <= max(size, 0.02 * total)


def test_the_seed_changes_the_choice() -> None:
    images = grouped(50, 4)

    one, other = (assign_splits(images, SplitSpec(group_by=1, seed=seed)) for seed in (0, 1))

    assert set(one[TEST]) != set(other[TEST])


def test_validation_is_taken_from_training_in_whole_groups() -> None:
    images = [image._replace(split=TRAIN) for image in grouped(30, 5)]
    images += [ImageFile(f"t/{number}", f"c{number % 3}", TEST, "t") for number in range(9)]

    splits = assign_splits(images, SPEC)

    assert all(len(used) == 1 for used in splits_of(images).values())
    assert len(splits[VAL]) in range(12, 22)
    assert len(splits[TEST]) == 9


def test_splits_of_the_archive_are_kept_and_doubtful_groups_warned_of() -> None:
    images = [
        ImageFile("1", "cat", TRAIN, "a"),
        ImageFile("2", "dog", TEST, "a"),
        ImageFile("3", "cat", VAL, "b"),
        ImageFile("4", "dog", TRAIN, None),
    ]
    warnings = Warnings()

    splits = assign_splits(images, SPEC, warnings)

    assert all(image.split is split for split in Split for image in splits[split])
    by_code = {warning.code: warning for warning in warnings.all}
    assert by_code["groups_in_several_splits"].examples == ("a",)
    assert by_code["group_by_not_used"].count == 4
    assert by_code["images_without_group"].examples == ("4",)


def test_an_image_without_a_split_joins_its_group() -> None:
    images = [ImageFile("1", "cat", TEST, "a"), *(ImageFile(f"{n}", "cat", None, "a") for n in range(2, 9))]
    images += [ImageFile(f"d{number}", "dog", None, f"d{number}") for number in range(20)]

    splits = assign_splits(images, SPEC)

    assert {image.name for image in splits[TEST]} >= {str(number) for number in range(1, 9)}


def test_without_doubt_there_is_no_warning() -> None:
    warnings = Warnings()

    assign_splits(grouped(10, 3), SPEC, warnings)
    assign_splits([image._replace(group=None) for image in grouped(10, 3)], SplitSpec(), warnings)

    assert not warnings.all
