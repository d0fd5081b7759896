"""The order in which an archive's images are processed."""

from dataclasses import dataclass
from typing import Self

from contract.datasets import Split, SplitSpec
from media.archives.archive import Archive
from media.archives.rejections import Rejections
from services.preprocess.layout import Picture, arrange
from services.preprocess.split import assign_splits


@dataclass(frozen=True)
class Plan:
    """Every picture with its split, split after split and shuffled in each: the same for the same archive and spec."""

    classes: tuple[str, ...]
    pictures: tuple[tuple[Split, Picture], ...]

    @classmethod
    def of(cls, archive: Archive, spec: SplitSpec, rejections: Rejections) -> Self:
        """Raises BadDataset where the names make no data set; files that are refused alone go to `rejections`."""
        pictures = arrange(archive.names, archive.read, archive.limits, rejections)
        ordered = ((split, picture) for split, members in assign_splits(pictures, spec).items() for picture in members)
        return cls(classes=tuple(sorted({picture.label for picture in pictures})), pictures=tuple(ordered))
