"""Prepared parts of an archive, and how they are merged into a dataset's manifest."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from contract.artifacts import ObjectRef
from contract.base import Frozen, Whole
from contract.datasets import Counts, DatasetManifest, Label, PixelSums, Rejected, Shard, Split, Thumbnail
from contract.errors import BadDataset
from contract.tracing import traced
from media.archives.limits import Limits
from media.archives.places import check_total
from media.archives.rejections import Rejections, shown
from services.preprocess.class_warnings import class_warnings
from services.preprocess.index import merge_indexes
from services.preprocess.plan import PlanHead
from services.preprocess.statistics import Moments
from services.preprocess.warnings import MOST_EXAMPLES, Warnings, plural

Store = Callable[[Path], ObjectRef]
Fetch = Callable[[ObjectRef, Path], None]


class Files(Frozen):
    """A number of files, and the first of them."""

    count: Whole
    first: tuple[str, ...]

    @classmethod
    def of(cls, files: Sequence[str]) -> Self:
        return cls(count=len(files), first=tuple(files[:MOST_EXAMPLES]))

    def __add__(self, other: Self) -> Self:
        return type(self)(count=self.count + other.count, first=(*self.first, *other.first)[:MOST_EXAMPLES])


class PreparedPart(Frozen):
    """The result of preparing some of an archive's images, or all of them.

    `counts_by_class` has every class of the archive, `moments` are of the training pixels, `inflated` is in bytes,
    `index` has the part's rows of the dataset's index. `coloured` are the images that were expected to be grey.
    """

    counts_by_class: dict[Split, dict[Label, Whole]]
    shards: dict[Split, tuple[Shard, ...]]
    index: ObjectRef
    moments: Moments
    inflated: Whole
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    coloured: Files
    repaired: Files
    thumbnails: tuple[Thumbnail, ...]


@traced("merge parts")
def merge_parts(
    head: PlanHead, parts: Sequence[PreparedPart], folder: Path, fetch: Fetch, store: Store, limits: Limits
) -> DatasetManifest:
    """Merge all parts of an archive, in order. Only the shard boundaries depend on how it was divided.

    Raise BadArchive if the whole archive is over the limits, BadDataset if a class has no usable image.
    """
    check_total(head.inflated + sum(part.inflated for part in parts), limits)
    rejections = Rejections()
    rejections.merge(head.rejected, head.rejected_files)
    for part in parts:
        rejections.merge(part.rejected, part.rejected_files)
    counts = {
        split: {label: sum(part.counts_by_class[split][label] for part in parts) for label in head.classes}
        for split in Split
    }
    _check_training(counts, rejections)
    moments = sum((part.moments for part in parts), start=Moments())
    mean, std = moments.mean_and_std()
    path = folder / "index.parquet"
    counts_of_shards = [{split: len(part.shards[split]) for split in Split} for part in parts]
    data_sha256, duplicates = merge_indexes([part.index for part in parts], counts_of_shards, fetch, path)
    warnings = Warnings()
    warnings.merge(head.warnings)
    warnings.merge(class_warnings(counts))
    add_file_warnings(warnings, parts)
    warnings.merge(duplicates)
    return DatasetManifest(
        classes=head.classes,
        image=head.image,
        mean=mean,
        std=std,
        counts=Counts(**{split.value: sum(by_class.values()) for split, by_class in counts.items()}),
        counts_by_class=counts,
        shards={split: tuple(shard for part in parts for shard in part.shards[split]) for split in Split},
        rejected=len(rejections),
        rejected_files=rejections.first(),
        thumbnails=_first_of_each_class(parts),
        warnings=warnings.all,
        decisions=head.decisions,
        index=store(path),
        data_sha256=data_sha256,
        moments=PixelSums(**dict(moments)),
    )


def _check_training(counts: dict[Split, dict[str, int]], rejections: Rejections) -> None:
    """Raise BadDataset if no class has a training image, or a class has no image at all."""
    if not any(counts[Split.TRAIN].values()):
        raise BadDataset(f"no training image can be used{rejections.summary()}")
    for label in counts[Split.TRAIN]:
        if not any(by_class[label] for by_class in counts.values()):
            raise BadDataset(f"class {shown(label)!r} has no usable image{rejections.summary()}")


def add_file_warnings(warnings: Warnings, parts: Sequence[PreparedPart]) -> None:
    """Warn of files of the parts that lost their colour or were repaired."""
    coloured = sum((part.coloured for part in parts), start=Files.of(()))
    warnings.add(
        "colour_in_grey_dataset",
        f"the colour of {plural(coloured.count, 'image')} was dropped, because the images that were looked at to "
        "decide the mode have none",
        coloured.first,
        "Set image.mode to RGB if colour matters.",
        coloured.count,
    )
    repaired = sum((part.repaired for part in parts), start=Files.of(()))
    warnings.add(
        "repaired_images",
        f"{plural(repaired.count, 'file')} cut off in the last tenth; the missing rows were filled",
        repaired.first,
        "Send the whole files, or set strict to leave such files out.",
        repaired.count,
    )


def _first_of_each_class(parts: Sequence[PreparedPart]) -> tuple[Thumbnail, ...]:
    first = {thumbnail.label: thumbnail for part in reversed(parts) for thumbnail in part.thumbnails}
    return tuple(first[label] for label in sorted(first))
