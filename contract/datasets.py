"""A prepared dataset: splits, shards and the manifest of a version."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Positive, Whole
from contract.division import Outcome
from contract.images import ImageSpec

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class SplitSpec(Frozen):
    """The shares of images that the archive does not assign to a split; stratified, deterministic for a seed."""

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-6:
            raise ValueError("train, val and test must add up to 1")
        if self.train <= 0:
            raise ValueError("train must be over 0")
        return self


class Rejected(Frozen):
    """A file of the archive that was left out of the dataset, and the reason."""

    file: str
    reason: str


class Thumbnail(Frozen):
    label: Label
    image: str = Field(description="A PNG of at most 64 pixels a side, as a data URI.")


class Shard(Frozen):
    """A part of a split as two .npy files: images uint8 (count, channels, height, width), labels int64 (count,)."""

    count: Positive
    images: ObjectRef
    labels: ObjectRef


class Counts(Frozen):
    train: Whole
    val: Whole
    test: Whole


class DatasetManifest(Outcome):
    """Describes one version of a dataset completely.

    `mean` and `std` are per channel over the training split, of pixels scaled to 0..1.
    """

    classes: tuple[Label, ...]
    image: ImageSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: Counts
    counts_by_class: dict[Split, dict[Label, Whole]]
    shards: dict[Split, tuple[Shard, ...]]
    rejected: Whole
    rejected_files: tuple[Rejected, ...] = Field(description="The first 1000 rejected files.")
    thumbnails: tuple[Thumbnail, ...]
