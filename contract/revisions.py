"""Changes of a dataset version's images, and what differs between two versions."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Sha256, Whole
from contract.datasets import Label, Split
from contract.references import ReferenceText

MOST_CHANGES = 10_000  # in one request; a file of labels may have more

ExportFormat = Literal["coco", "imagefolder", "csv", "labelstudio"]


class ImageChange(Frozen):
    """A change of one image of the parent, with all its exact copies: another label, or its removal."""

    sha256: Sha256
    label: Label | None = None
    remove: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.label is not None) is self.remove:
            raise ValueError('give either "label" or "remove": true')
        return self


ByClass = dict[Split, dict[Label, Whole]]


class DiffCounts(Frozen):
    """Images that differ, by their split and class; for relabelled and moved ones, in the newer version."""

    added: ByClass = Field(default_factory=dict)
    removed: ByClass = Field(default_factory=dict)
    relabelled: ByClass = Field(default_factory=dict)
    moved: ByClass = Field(default_factory=dict)


DiffKind = Literal["added", "removed", "relabelled", "moved"]


class ImageDiff(Frozen):
    """An image that differs: `label` and `split` in the version, `old_label` and `old_split` in the one compared with.

    They are null in a version that lacks the image.
    """

    change: DiffKind
    sha256: Sha256
    path: str
    label: Label | None
    split: Split | None
    old_label: Label | None
    old_split: Split | None


class VersionDiff(Frozen):
    """What differs between a version and another one, `base`; each copy of an image counts.

    `relabelled` images have another label and perhaps another split, `moved` images only another split. `items` is a
    page of the images that differ, in the order of the fields of `counts`.
    """

    version: ReferenceText
    base: ReferenceText
    added: Whole
    removed: Whole
    relabelled: Whole
    moved: Whole
    unchanged: Whole
    counts: DiffCounts
    items: tuple[ImageDiff, ...]
    next: str | None
