"""Preprocess: turn an uploaded archive into the next version of a dataset."""

from typing import Literal

from pydantic import Field

from contract.base import Frozen, Name, Whole
from contract.datasets import Counts, DatasetManifest, Label, SplitSpec
from contract.images import ImageSpec
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.references import Reference, ReferenceText, UploadSource


class PreprocessSpec(JobSpec):
    """Turn an uploaded archive into the next version of a dataset."""

    dataset: Name
    source: UploadSource
    image: ImageSpec = ImageSpec()
    split: SplitSpec = SplitSpec()

    @property
    def subject(self) -> Subject:
        return Subject(dataset=self.dataset)


class PreprocessRequest(KindRequest):
    kind: Literal["preprocess"]
    spec: PreprocessSpec


class PreprocessResult(Frozen):
    dataset: ReferenceText
    classes: tuple[Label, ...]
    counts: Counts
    rejected: Whole
    shape: tuple[int, int, int] = Field(description="(channels, height, width)")

    @classmethod
    def of(cls, reference: Reference, manifest: DatasetManifest) -> "PreprocessResult":
        return cls(
            dataset=str(reference),
            classes=manifest.classes,
            counts=manifest.counts,
            rejected=manifest.rejected,
            shape=manifest.image.shape,
        )


register(
    Kind(
        name="preprocess",
        pool="preprocess",
        request=PreprocessRequest,
        outcome=DatasetManifest,
        examples={
            "preprocess": {
                "summary": "Prepare an archive that was uploaded through a presigned URL",
                "value": {
                    "kind": "preprocess",
                    "spec": {
                        "dataset": "cifar10",
                        "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"},
                        "image": {"size": [32, 32], "mode": "RGB", "resize": "crop"},
                    },
                },
            },
        },
    )
)
