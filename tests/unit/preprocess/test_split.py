"""Splits are stratified, disjoint, and the same for the same names and seed."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.datasets import Split, SplitSpec
from services.preprocess.image_files import ImageFile, ImageFiles
from services.preprocess.split import assign_splits


def image_files(counts: dict[str, int], split: Split | None = None) -> list[ImageFile]:
    prefix = f"{split}/" if split else ""
    return [
        ImageFile(f"{prefix}{label}/{number}.png", label, split)
        for label, count in counts.items()
        for number in range(count)
    ]


def sizes(splits: dict[Split, ImageFiles]) -> dict[Split, Counter[str]]:
    return {split: Counter(image.label for image in members) for split, members in splits.items()}


@st.composite
def specs(draw: st.DrawFn) -> SplitSpec:
    train, val, test = draw(st.tuples(st.integers(1, 100), st.integers(0, 100), st.integers(0, 100)))
    total = train + val + test
    return SplitSpec(train=train / total, val=val / total, test=test / total, seed=draw(st.integers(0, 2**32 - 1)))


@given(
    counts=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 40), min_size=1),
    spec=specs(),
    order=st.randoms(use_true_random=False),
)
def test_every_image_is_in_one_split_according_to_the_shares(
    counts: dict[str, int], spec: SplitSpec, order: random.Random
) -> None:
    images = image_files(counts)
    shuffled = order.sample(images, len(images))

    splits = assign_splits(images, spec)

    assert assign_splits(shuffled, spec) == splits
    assigned = [image for split in Split for image in splits[split]]
    assert len(assigned) == len(images)
    assert set(assigned) == set(images)
    for label, count in counts.items():
        assert sizes(splits)[Split.TRAIN][label] >= 1
        for split in Split:
            difference = abs(sizes(splits)[split][label] - count * getattr(spec, split))
            assert difference < 1.001 or sizes(splits)[Split.TRAIN][label] == 1


def test_the_shares_of_ten_images_are_exact() -> None:
    splits = sizes(assign_splits(image_files({"cat": 10, "dog": 30}), SplitSpec()))

    assert splits[Split.TRAIN] == {"cat": 8, "dog": 24}
    assert splits[Split.VAL] == splits[Split.TEST] == {"cat": 1, "dog": 3}


@pytest.mark.parametrize(("count", "expected"), [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (3, 0, 0)), (5, (4, 1, 0))])
def test_images_are_divided_by_largest_remainder(count: int, expected: tuple[int, int, int]) -> None:
    splits = assign_splits(image_files({"cat": count}), SplitSpec())

    assert tuple(len(splits[split]) for split in Split) == expected


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_class_keeps_a_training_image(count: int) -> None:
    splits = assign_splits(image_files({"cat": count}), SplitSpec(train=0.1, val=0.1, test=0.8))

    assert len(splits[Split.TRAIN]) == 1


def test_the_seed_changes_the_choice_but_not_the_sizes() -> None:
    images = image_files({"cat": 50, "dog": 50})

    one, other = (assign_splits(images, SplitSpec(seed=seed)) for seed in (0, 1))

    assert set(one[Split.TEST]) != set(other[Split.TEST])
    assert sizes(one) == sizes(other)


def test_the_classes_of_a_split_are_shuffled() -> None:
    training = assign_splits(image_files({"cat": 100, "dog": 100}), SplitSpec())[Split.TRAIN]

    changes = sum(one.label != next_one.label for one, next_one in pairwise(training))
    assert 50 < changes < 110


def test_the_archives_own_splits_are_kept() -> None:
    images = [
        *image_files({"cat": 5}, Split.TRAIN),
        *image_files({"cat": 3}, Split.VAL),
        *image_files({"cat": 2}, Split.TEST),
    ]

    splits = assign_splits(images, SplitSpec(train=0.2, val=0.2, test=0.6))

    assert all(image.split is split for split in Split for image in splits[split])


def test_validation_is_taken_from_training_if_the_archive_has_none() -> None:
    images = [*image_files({"cat": 90, "dog": 45}, Split.TRAIN), *image_files({"cat": 7}, Split.TEST)]

    splits = assign_splits(images, SplitSpec())

    assert sizes(splits) == {
        Split.TRAIN: {"cat": 80, "dog": 40},
        Split.VAL: {"cat": 10, "dog": 5},
        Split.TEST: {"cat": 7},
    }
    assert all(image.split is Split.TEST for image in splits[Split.TEST])


def test_nothing_is_taken_from_training_if_the_share_of_validation_is_zero() -> None:
    splits = assign_splits(image_files({"cat": 10}, Split.TRAIN), SplitSpec(train=0.9, val=0, test=0.1))

    assert len(splits[Split.TRAIN]) == 10


def test_images_without_a_split_are_divided_among_the_splits() -> None:
    splits = assign_splits([*image_files({"cat": 4}, Split.TEST), *image_files({"cat": 10})], SplitSpec())

    assert sizes(splits) == {Split.TRAIN: {"cat": 8}, Split.VAL: {"cat": 1}, Split.TEST: {"cat": 5}}
