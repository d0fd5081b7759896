"""The result of preprocessing a span of an archive's images."""

from contract.base import Frozen, Whole
from contract.datasets import Label, Rejected, Shard, Split, Thumbnail
from services.preprocess.statistics import Moments


class Piece(Frozen):
    """A part of a data set, or all of it.

    `counts_by_class` has every class of the archive, `moments` are of the training pixels, `inflated` is in bytes.
    """

    counts_by_class: dict[Split, dict[Label, Whole]]
    shards: dict[Split, tuple[Shard, ...]]
    moments: Moments
    inflated: Whole
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    thumbnails: tuple[Thumbnail, ...]
