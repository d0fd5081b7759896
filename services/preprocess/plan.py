"""The order in which an archive's images are processed."""

from dataclasses import dataclass
from typing import Self

from contract.datasets import Split, SplitSpec
from media.archives.archive import Archive
from media.archives.rejections import Rejections
from services.preprocess.layout import ImageFile, arrange
from services.preprocess.split import assign_splits


@dataclass(frozen=True)
class Plan:
    """Every image with its split, split after split and shuffled in each: the same for the same archive and spec."""

    classes: tuple[str, ...]
    images: tuple[tuple[Split, ImageFile], ...]

    @classmethod
    def of(cls, archive: Archive, spec: SplitSpec, rejections: Rejections) -> Self:
        """Raises BadDataset where the names make no data set; files that are refused alone go to `rejections`."""
        images = arrange(archive.names, archive.read, archive.limits, rejections)
        ordered = ((split, image) for split, members in assign_splits(images, spec).items() for image in members)
        return cls(classes=tuple(sorted({image.label for image in images})), images=tuple(ordered))
