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


# A column of the file beside the fields of ImageRecord: the name of the original in the uploaded archive, as stored.
MEMBER = "member"
