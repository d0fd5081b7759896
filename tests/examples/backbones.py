"""Networks that people bring as a start of training."""

from contract.artifacts import Bucket, ObjectRef
from contract.backbones import (
    Backbone,
    BackboneImages,
    BackboneInput,
    BackboneManifest,
    BackboneMetadata,
    BackboneVersion,
    BuiltIn,
    OnnxNames,
)
from contract.base import Frozen
from contract.jobs import JobKind
from contract.kinds.backbone import BackboneRequest, BackboneResult, BackboneSpec
from contract.references import UploadSource
from tests.examples.base import UPLOAD_ID, WHEN
from tests.examples.datasets import PREPROCESSING

BACKBONE_INPUT = BackboneInput(size=(96, 96), mean=PREPROCESSING.mean, std=PREPROCESSING.std)
BACKBONE_SPEC = BackboneSpec(
    backbone="pet-body",
    source=UploadSource(upload=UPLOAD_ID),
    architecture="resnet18",
    preprocessing=BACKBONE_INPUT,
    licence="MIT",
)
BACKBONE_REQUEST = BackboneRequest(kind=JobKind.BACKBONE, spec=BACKBONE_SPEC)
BACKBONE_IMAGES = BackboneImages(size=(96, 96), mode="RGB", mean=PREPROCESSING.mean, std=PREPROCESSING.std)
BACKBONE_MANIFEST = BackboneManifest(
    format="safetensors",
    file=ObjectRef(bucket=Bucket.JOBS, key="job-1/attempts/1/state.safetensors", size=46_800_000, sha256="c" * 64),
    sha256="d" * 64,
    size_bytes=46_800_000,
    architecture="resnet18",
    images=BACKBONE_IMAGES,
    features=512,
    parameters=11_176_512,
    licence="MIT",
)

EXAMPLES: tuple[Frozen, ...] = (
    BACKBONE_INPUT,
    BACKBONE_SPEC,
    BACKBONE_REQUEST,
    BACKBONE_IMAGES,
    BACKBONE_MANIFEST,
    BackboneMetadata(architecture="lite0"),
    BackboneResult(backbone="pet-body@1", status="ready"),
    OnnxNames(input="images", output="features"),
    BuiltIn(
        title="A network",
        side=224,
        features=1280,
        parameters=3_371_008,
        mean=0.5,
        std=0.5,
        sha256="e" * 64,
        licence="Apache-2.0",
    ),
    Backbone(
        name="pet-body",
        versions=(2, 1),
        rejected=(3,),
        format="safetensors",
        architecture="resnet18",
        images=BACKBONE_IMAGES,
        features=512,
        parameters=11_176_512,
        licence="MIT",
        sha256="d" * 64,
        created_at=WHEN,
    ),
    BackboneVersion(name="pet-body", version=3, status="rejected", reason="a pickle", job="job-1", created_at=WHEN),
)
