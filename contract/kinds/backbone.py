"""Backbone: check a pretrained network that a person brings, and keep it as a start for trainings."""

from typing import Literal

from contract.backbones import BackboneManifest, BackboneMetadata, Status
from contract.base import Frozen, Name
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.references import ReferenceText, UploadSource


class BackboneSpec(BackboneMetadata, JobSpec):
    """Check an uploaded safetensors or ONNX file and publish it as the next version of a backbone, ready or rejected.

    A safetensors file has the weights of a network that Tidepool knows. An ONNX file maps images float32
    (n, 3, height, width) to features (n, f) or (n, f, 1, 1), and can be used by a probe only.
    """

    backbone: Name
    source: UploadSource

    @property
    def subject(self) -> Subject:
        return Subject(model=self.backbone)


class BackboneRequest(KindRequest):
    kind: Literal["backbone"]
    spec: BackboneSpec


class BackboneResult(Frozen):
    """The version that was published; the job's error is the reason for a rejection."""

    backbone: ReferenceText
    status: Status


register(
    Kind(
        name="backbone",
        pool="trainer",
        request=BackboneRequest,
        outcome=BackboneManifest,
        examples={
            "backbone": {
                "summary": "Bring a pretrained network that was uploaded through a presigned URL",
                "value": {
                    "kind": "backbone",
                    "spec": {
                        "backbone": "resnet18-imagenet",
                        "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"},
                        "architecture": "resnet18",
                        "preprocessing": {
                            "size": [224, 224],
                            "mean": [0.485, 0.456, 0.406],
                            "std": [0.229, 0.224, 0.225],
                        },
                    },
                },
            },
        },
    )
)
