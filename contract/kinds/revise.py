"""Revise: make the next version of a dataset from another version and what differs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.artifacts import ObjectRef
from contract.base import Frozen, Name, Whole
from contract.datasets import Counts, DatasetManifest, DatasetWarning, Label, Revision, TestSplit
from contract.division import Outcome
from contract.errors import Invalid
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.kinds.registry import register
from contract.references import DatasetReference, Reference, ReferenceText, UploadSource
from contract.revisions import MOST_CHANGES, ImageChange

ReviewId = Annotated[str, Field(min_length=1, max_length=36)]


class RevisionChanges(Frozen):
    """What is to differ from the parent.

    `reviews` are decided items of the review queue that are in no version yet: all of them, or those with these ids.
    `labels` is an uploaded file with labels of images: Label Studio's JSON or CSV. Of an image that is named several
    times, `changes` count before `labels`, and these before `reviews`. While the test split is `frozen`, its images
    keep their labels and stay, and none is added. A class that would lose its last image is refused, unless
    `empty_classes` is `drop`.
    """

    reviews: Literal["all"] | Annotated[tuple[ReviewId, ...], Field(max_length=MOST_CHANGES)] = ()
    changes: Annotated[tuple[ImageChange, ...], Field(max_length=MOST_CHANGES)] = ()
    labels: UploadSource | None = None
    test_split: TestSplit = "frozen"
    empty_classes: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not (self.reviews or self.changes or self.labels):
            raise ValueError('name what is to change: "changes", "labels" or "reviews"')
        seen = set[str]()
        for change in self.changes:
            if change.sha256 in seen:
                raise ValueError(f"the image {change.sha256} is in several changes; keep one of them")
            seen.add(change.sha256)
        return self


class ReviseSpec(JobSpec, RevisionChanges):
    """Make the next version of a dataset from its version `parent` and changes; the parent stays as it is."""

    dataset: Name
    parent: DatasetReference

    @property
    def subject(self) -> Subject:
        return Subject(dataset=self.dataset)

    def check(self, manifests: Manifests) -> None:
        """Raise Invalid if the parent is of another dataset, or has no index of its images."""
        parent = Reference.parse(self.parent)
        if parent.name != self.dataset:
            raise Invalid(f"the parent must be a version of {self.dataset}, and {self.parent} is not")
        if manifests.datasets[self.parent].index is None:
            raise Invalid(
                f"{parent} was prepared by an older release and has no index of its images; a job of the kind index "
                f'makes one: {{"kind": "index", "spec": {{"dataset": "{parent}"}}}}'
            )


class ReviseRequest(KindRequest):
    kind: Literal["revise"]
    spec: ReviseSpec


class ReviseResult(Frozen):
    """The new version, and how it differs from its parent; `reviews` answers of people were applied.

    If these only confirm the labels of the parent, there is no new version, and `dataset` is the parent.
    """

    dataset: ReferenceText
    classes: tuple[Label, ...]
    counts: Counts
    rejected: Whole
    revision: Revision
    reviews: Whole
    warnings: tuple[DatasetWarning, ...] = ()

    @classmethod
    def of(cls, reference: Reference, manifest: DatasetManifest, revision: Revision, reviews: int) -> Self:
        return cls(
            dataset=str(reference),
            classes=manifest.classes,
            counts=manifest.counts,
            rejected=manifest.rejected,
            revision=revision,
            reviews=reviews,
            warnings=manifest.warnings,
        )


class AddedOriginals(Frozen):
    """The zip with the originals of the added images, which becomes the upload `upload` of the project."""

    upload: str
    file: ObjectRef


class RevisedDataset(Outcome):
    """The outcome of a revise job: the manifest, and the ids of the reviews that it applies.

    Without a manifest, the reviews confirm what the parent has, and there is no new version.
    """

    manifest: DatasetManifest | None
    originals: AddedOriginals | None = None
    reviews: tuple[str, ...] = ()


register(
    Kind(
        name="revise",
        pool="preprocess",
        request=ReviseRequest,
        outcome=RevisedDataset,
        examples={
            "revise": {
                "summary": "Make the next version of a dataset with another label for one image",
                "value": {
                    "kind": "revise",
                    "spec": {
                        "dataset": "pets",
                        "parent": "pets@3",
                        "changes": [{"sha256": "9" * 64, "label": "dog"}],
                    },
                },
            },
        },
    )
)
