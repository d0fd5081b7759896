"""Erase: remove an image from everything that a project keeps."""

from typing import Literal

from contract.artifacts import ObjectRef
from contract.base import Frozen, Positive, Sha256, Whole
from contract.datasets import DatasetManifest, Split
from contract.division import Outcome
from contract.kinds.kind import JobSpec, Kind, KindRequest
from contract.kinds.registry import register
from contract.references import ReferenceText
from contract.training import FeatureFile

LEARNED = (
    "Models in `models` were trained with the image and keep what they learned from it: erasing an image does not make "
    "weights forget. Train them again on the same version, or delete them."
)


class EraseSpec(JobSpec):
    """Remove an image from dataset versions, archives, outputs of jobs, features, lists and reviews of a project.

    `sha256` is that of its bytes as uploaded. Objects of a bucket of your own, `s3://…`, are not changed.
    """

    sha256: Sha256


class EraseRequest(KindRequest):
    kind: Literal["erase"]
    spec: EraseSpec


class ErasedVersion(Frozen):
    """A dataset version, and how many of its images were the erased one: several if it had exact copies."""

    dataset: ReferenceText
    images: Positive


class EraseResult(Frozen):
    """What an erasure has changed.

    `archives` were overwritten with zeros where the image lay; `outputs` are jobs whose files have lost its rows;
    `features` are files of cached features; `reviews` are items of the review queue, deleted with their answers;
    `models` are now marked with `trained_on_erased`. `kept_originals` are objects of your own bucket, which only you
    can delete. `not_searched` are versions of older releases without an index of their images. `note` says what an
    erasure cannot do.
    """

    sha256: Sha256
    versions: tuple[ErasedVersion, ...]
    archives: Whole
    outputs: tuple[str, ...]
    features: Whole
    reviews: Whole = 0
    models: tuple[ReferenceText, ...]
    rewritten_bytes: Whole
    kept_originals: tuple[str, ...] = ()
    not_searched: tuple[ReferenceText, ...] = ()
    note: str = LEARNED


class ChangedVersion(Frozen):
    """A dataset version without the image: its new manifest. `before` is the index that the search has read.

    `images` of the image's rows were removed, from `splits`.
    """

    dataset: ReferenceText
    before: ObjectRef
    manifest: DatasetManifest
    images: Positive
    splits: tuple[Split, ...]


class ChangedFile(Frozen):
    """The archive of the upload `owner`, or the output of the job `owner`, without `rows` of the image."""

    owner: str
    before: ObjectRef
    after: ObjectRef
    rows: Positive


class ChangedFeatures(Frozen):
    """A dataset's features of a key; `after` is None if no other image has features."""

    dataset: str
    before: FeatureFile
    after: ObjectRef | None


class Searched(Frozen):
    """What was searched for the image: pinned versions, ids of uploads and jobs, and files of features without it."""

    versions: tuple[ReferenceText, ...] = ()
    uploads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    features: tuple[ObjectRef, ...] = ()


class Erasure(Outcome):
    """The outcome of an erase job: what replaces what, all at once."""

    versions: tuple[ChangedVersion, ...]
    uploads: tuple[ChangedFile, ...]
    outputs: tuple[ChangedFile, ...]
    features: tuple[ChangedFeatures, ...]
    searched: Searched
    not_searched: tuple[ReferenceText, ...] = ()
    kept_originals: tuple[str, ...] = ()
    rewritten_bytes: Whole


register(
    Kind(
        name="erase",
        pool="preprocess",
        request=EraseRequest,
        outcome=Erasure,
        examples={
            "erase": {
                "summary": "Erase an image everywhere, as DELETE /v1/images/{sha256} does",
                "value": {"kind": "erase", "spec": {"sha256": "9" * 64}},
            },
        },
    )
)
