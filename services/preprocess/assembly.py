"""Assemble the pieces of a data set into its manifest."""

from collections.abc import Sequence

from contract.datasets import Counts, DatasetManifest, Split, Thumbnail
from contract.errors import BadDataset
from contract.images import ImageSpec
from media.archives.archive import check_total
from media.archives.limits import Limits
from media.archives.rejections import Rejections, shown
from services.preprocess.piece import Piece
from services.preprocess.statistics import Moments


def assembled(pieces: Sequence[Piece], image: ImageSpec, limits: Limits) -> DatasetManifest:
    """The data set of all pieces of an archive, in order; but for where its shards end, it does not show the pieces.

    Raises BadArchive where all of it is over the limits, BadDataset where a class has no usable training image.
    """
    check_total(sum(piece.inflated for piece in pieces), limits)
    rejections = Rejections()
    for piece in pieces:
        rejections.merge(piece.rejected, piece.rejected_files)
    classes = tuple(sorted(pieces[0].counts_by_class[Split.TRAIN]))
    counts = {
        split: {label: sum(piece.counts_by_class[split][label] for piece in pieces) for label in classes}
        for split in Split
    }
    _check_training(counts[Split.TRAIN], rejections)
    mean, std = sum((piece.moments for piece in pieces), start=Moments()).mean_and_std()
    return DatasetManifest(
        classes=classes,
        image=image,
        mean=mean,
        std=std,
        counts=Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
        counts_by_class=counts,
        shards={split: tuple(shard for piece in pieces for shard in piece.shards[split]) for split in Split},
        rejected=len(rejections),
        rejected_files=rejections.first(),
        thumbnails=_first_of_each_class(pieces),
    )


def _check_training(counts: dict[str, int], rejections: Rejections) -> None:
    """Refuse a data set in which nothing of a class can be learnt."""
    missing = [label for label, count in counts.items() if count == 0]
    if len(missing) == len(counts):
        raise BadDataset(f"no training image can be used{rejections.summary()}")
    if missing:
        raise BadDataset(f"class {shown(missing[0])!r} has no usable training image{rejections.summary()}")


def _first_of_each_class(pieces: Sequence[Piece]) -> tuple[Thumbnail, ...]:
    first = {thumbnail.label: thumbnail for piece in reversed(pieces) for thumbnail in piece.thumbnails}
    return tuple(first[label] for label in sorted(first))
