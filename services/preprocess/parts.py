"""Prepared parts of an archive, and how they are merged into a dataset's manifest."""

from collections.abc import Sequence

from contract.base import Frozen, Whole
from contract.datasets import Counts, DatasetManifest, Label, Rejected, Shard, Split, Thumbnail
from contract.errors import BadDataset
from contract.images import ImageSpec
from media.archives.limits import Limits
from media.archives.places import check_total
from media.archives.rejections import Rejections, shown
from services.preprocess.statistics import Moments


class PreparedPart(Frozen):
    """The result of preparing a slice of an archive's images, or all of them.

    `counts_by_class` has every class of the archive, `moments` are of the training pixels, `inflated` is in bytes.
    """

    counts_by_class: dict[Split, dict[Label, Whole]]
    shards: dict[Split, tuple[Shard, ...]]
    moments: Moments
    inflated: Whole
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    thumbnails: tuple[Thumbnail, ...]


def merge_parts(parts: Sequence[PreparedPart], image: ImageSpec, limits: Limits) -> DatasetManifest:
    """Merge all parts of an archive, in order. Only the shard boundaries depend on how it was divided.

    Raise BadArchive if the whole archive is over the limits, BadDataset if a class has no usable training image.
    """
    check_total(sum(part.inflated for part in parts), limits)
    rejections = Rejections()
    for part in parts:
        rejections.merge(part.rejected, part.rejected_files)
    classes = tuple(sorted(parts[0].counts_by_class[Split.TRAIN]))
    counts = {
        split: {label: sum(part.counts_by_class[split][label] for part in parts) for label in classes}
        for split in Split
    }
    _check_training(counts[Split.TRAIN], rejections)
    mean, std = sum((part.moments for part in parts), start=Moments()).mean_and_std()
    return DatasetManifest(
        classes=classes,
        image=image,
        mean=mean,
        std=std,
        counts=Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
        counts_by_class=counts,
        shards={split: tuple(shard for part in parts for shard in part.shards[split]) for split in Split},
        rejected=len(rejections),
        rejected_files=rejections.first(),
        thumbnails=_first_of_each_class(parts),
    )


def _check_training(counts: dict[str, int], rejections: Rejections) -> None:
    """Raise BadDataset if a class has no training image."""
    missing = [label for label, count in counts.items() if count == 0]
    if len(missing) == len(counts):
        raise BadDataset(f"no training image can be used{rejections.summary()}")
    if missing:
        raise BadDataset(f"class {shown(missing[0])!r} has no usable training image{rejections.summary()}")


def _first_of_each_class(parts: Sequence[PreparedPart]) -> tuple[Thumbnail, ...]:
    first = {thumbnail.label: thumbnail for part in reversed(parts) for thumbnail in part.thumbnails}
    return tuple(first[label] for label in sorted(first))
