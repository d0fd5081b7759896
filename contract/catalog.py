"""Data sets and models as anybody may see them."""

from datetime import datetime

from contract.base import Frozen, Name, Positive, Version, Whole
from contract.datasets import Counts, Label, Rejected, Split, Thumbnail
from contract.images import ImageSpec, Preprocessing
from contract.references import ReferenceText
from contract.training import EvaluationMetrics, OnnxInfo, TensorSignature


class Dataset(Frozen):
    """A data set and the versions it has, newest first."""

    name: Name
    versions: tuple[Version, ...]
    created_at: datetime


class DatasetVersion(Frozen):
    """One version: `shape` is (channels, height, width); mean and std are per channel, of pixels scaled to 0..1."""

    name: Name
    version: Version
    job: str
    created_at: datetime
    classes: tuple[Label, ...]
    image: ImageSpec
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts: Counts
    counts_by_class: dict[Split, dict[Label, Whole]]
    rejected: Whole
    rejected_files: tuple[Rejected, ...]
    thumbnails: tuple[Thumbnail, ...]


class Alias(Frozen):
    alias: Name
    version: Version
    updated_at: datetime


class Model(Frozen):
    """A model, the versions it has, newest first, and the aliases that point at them."""

    name: Name
    versions: tuple[Version, ...]
    aliases: tuple[Alias, ...]
    created_at: datetime


class ModelVersion(Frozen):
    """One version with its lineage (job, data set); `provider` is the execution provider that last loaded it."""

    name: Name
    version: Version
    job: str
    dataset: ReferenceText
    created_at: datetime
    labels: tuple[Label, ...]
    aliases: tuple[Name, ...]
    preprocessing: Preprocessing
    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    metrics: EvaluationMetrics
    best_epoch: Positive
    parameters: Positive
    trained_on: str
    provider: str | None
    onnx: OnnxInfo


class Upload(Frozen):
    """An archive on its way in, or there."""

    id: str
    filename: str
    size: Whole
    sha256: str | None
    complete: bool
    created_at: datetime
