"""Index: give a dataset version of an older release its index of images, from its kept upload."""

from typing import Literal

from contract.artifacts import ObjectRef
from contract.base import Frozen, Sha256, Whole
from contract.datasets import DatasetWarning
from contract.division import Outcome
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.references import DatasetReference, Reference, ReferenceText


class IndexSpec(JobSpec):
    """Match the images of a dataset version with the files of its upload, and give the version an index of images."""

    dataset: DatasetReference

    @property
    def subject(self) -> Subject:
        return Subject(dataset=Reference.parse(self.dataset).name)


class IndexRequest(KindRequest):
    kind: Literal["index"]
    spec: IndexSpec


class IndexResult(Frozen):
    """`indexed` images have a row in the index; the files of `missing` images were not found in the upload."""

    dataset: ReferenceText
    indexed: Whole
    missing: Whole


class DatasetIndex(Outcome):
    """The outcome of an index job: without `index` if the upload is gone. `data_sha256` needs every image."""

    index: ObjectRef | None
    data_sha256: Sha256 | None
    indexed: Whole
    missing: Whole
    warnings: tuple[DatasetWarning, ...]


register(
    Kind(
        name="index",
        pool="preprocess",
        request=IndexRequest,
        outcome=DatasetIndex,
        examples={
            "index": {
                "summary": "Index the images of a dataset version of an older release",
                "value": {"kind": "index", "spec": {"dataset": "cifar10@1"}},
            },
        },
    )
)
