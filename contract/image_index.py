"""The index of a dataset version's images: a Parquet file with a row for each image."""

from contract.base import Frozen, Sha256, Whole
from contract.datasets import Label, Split
from contract.references import ReferenceText


class ImageRecord(Frozen):
    """One image of a dataset version.

    `sha256` is of the bytes as uploaded, `path` the name in the archive. `width` and `height` are in pixels, as stored,
    before EXIF orientation. `shard` counts the shards of the split, `row` is the image's row in it. `average_hash` and
    `difference_hash` are perceptual hashes of 64 bits in hexadecimal digits; similar images have hashes with few
    different bits.
    """

    sha256: Sha256
    path: str
    split: Split
    label: Label
    width: Whole
    height: Whole
    shard: Whole
    row: Whole
    average_hash: str
    difference_hash: str


class ImagePage(Frozen):
    items: tuple[ImageRecord, ...]
    next: str | None


class ImageDetails(Frozen):
    """One image of a dataset version, and what was made with it.

    `occurrences` are several if the version has exact copies. `versions` of the dataset have the same image, of the
    twenty newest with an index; `models` and the batch prediction `jobs` used one of these versions, newest first.
    """

    sha256: Sha256
    occurrences: tuple[ImageRecord, ...]
    versions: tuple[ReferenceText, ...]
    models: tuple[ReferenceText, ...]
    jobs: tuple[str, ...]


class HeldImage(ImageRecord):
    """One image of a dataset version of the project."""

    dataset: ReferenceText


class ImageHolding(Frozen):
    """Everything in a project that holds an image, as far as it was searched; lists are newest first.

    `occurrences` are in the dataset `versions`. `models` were trained on these versions. `predictions` and
    `evaluations` are jobs with a row for the image in their output. `reviews` are items of the review queue. `erasing`
    is the job that erases the image. `not_searched` are versions of older releases without an index of images, and jobs
    whose output is too large to be searched while you wait; an erasure searches those.
    """

    sha256: Sha256
    occurrences: tuple[HeldImage, ...]
    versions: tuple[ReferenceText, ...]
    models: tuple[ReferenceText, ...]
    predictions: tuple[str, ...]
    evaluations: tuple[str, ...]
    reviews: tuple[str, ...] = ()
    erasing: str | None = None
    not_searched: tuple[str, ...] = ()


# A column of the file beside the fields of ImageRecord: the name of the original in the uploaded archive, as stored.
MEMBER = "member"
# The number of the original's source among `DatasetManifest.originals`; null means the first, or the only one.
SOURCE = "source"
