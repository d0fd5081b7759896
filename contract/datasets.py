"""A prepared dataset: splits, shards and the manifest of a version."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Positive, Sha256, Whole
from contract.choices import Choice
from contract.division import Outcome
from contract.images import ImageSpec
from contract.references import DatasetSource, ReferenceText

Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Level = Annotated[int, Field(strict=True, ge=1, le=32)]  # of a folder: 1 is the first one below the split folder
Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class SplitSpec(Frozen):
    """The shares of images that the archive does not assign to a split; stratified, deterministic for a seed.

    `group_by` keeps images of one group (a patient, a product, a video) in one split: the name of a column of the CSV
    manifest, or the number of a folder level, counted like `class_level`.
    """

    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0
    group_by: Annotated[str, Field(min_length=1, max_length=128)] | Level | None = None

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


NO_INDEX = "no_index"  # the code of a warning


class DatasetWarning(Frozen):
    """Something doubtful in a dataset that was prepared all the same.

    `code` is for programs (`one_image_classes`, `duplicate_images`, …), `advice` says what to do, and `examples` are up
    to ten paths or classes out of `count`.
    """

    code: str
    message: str
    count: Positive
    examples: tuple[str, ...]
    advice: str


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


class OriginalFiles(Frozen):
    """Where the originals of some images lie; `encoding` is that of file names that are not UTF-8, if it is known."""

    source: DatasetSource
    encoding: str | None = None


class PixelSums(Frozen):
    """Per channel, the sums of grey levels (0..255) and of their squares over `count` pixels; empty without pixels."""

    count: Whole = 0
    sums: tuple[Whole, ...] = ()
    squares: tuple[Whole, ...] = ()


TestSplit = Literal["frozen", "open"]


class Revision(Frozen):
    """How a version was made from another version of the dataset, its `parent`: the numbers of images that differ.

    `held_back` changes are of images of a frozen test split, which stays as it is. `unmatched` rows of a file of labels
    name no image of the parent, or have no label that can be used.
    """

    parent: ReferenceText
    relabelled: Whole
    added: Whole
    removed: Whole
    held_back: Whole = 0
    unmatched: Whole = 0
    test_split: TestSplit = "frozen"


class DatasetManifest(Outcome):
    """Describes one version of a dataset completely.

    `mean` and `std` are per channel over the training split, of pixels scaled to 0..1. `index` is a Parquet file with
    a row for each image (`contract.image_index`); versions of older releases may have none. `data_sha256` is equal for
    two versions with the same images, labels and splits. `erased` images were removed since the version was prepared.
    `moments` are of the training pixels, None if they are not known. A version that was made from another one has a
    `revision`, and its `originals`: the index says for each image in which of them it lies. Without any, the originals
    are those of the spec of the job that prepared the version.
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
    warnings: tuple[DatasetWarning, ...] = ()
    decisions: tuple[Choice, ...] = ()
    index: ObjectRef | None = None
    data_sha256: Sha256 | None = None
    erased: Whole = 0
    moments: PixelSums | None = None
    originals: tuple[OriginalFiles, ...] = ()
    revision: Revision | None = None
