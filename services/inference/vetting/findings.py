"""The messages between the vetting job and the process that examines a model."""

from pathlib import Path

from contract.base import Frozen, Positive, Whole
from contract.kinds.vet import ModelMetadata
from contract.models import ModelCard, ModelWarning
from contract.training import TensorSignature
from services.inference.vetting.operators import OutputLayer


class BackboneShape(Frozen):
    """The images of a backbone; `size` (height, width) is read from the graph if it is None."""

    channels: Positive
    size: tuple[Positive, Positive] | None = None


class BackboneTrial(Frozen):
    """How a backbone runs: its input and output, the size of its images, and the number of its features."""

    input: str
    output: str
    size: tuple[Positive, Positive]
    features: Positive


class ExaminerRequest(Frozen):
    """The file to examine, the metadata uploaded with it, and the limits.

    The examiner writes the card of an image classifier into `file`. `samples` is an .npz file. With `backbone`, the
    file must map such images to features, and metadata and samples are not used. Runs may take `run_s` seconds, as when
    the model serves; None is no limit.
    """

    file: Path
    metadata: ModelMetadata
    samples: Path | None = None
    backbone: BackboneShape | None = None
    memory_bytes: Positive
    cpu_s: Positive
    max_batch: Positive
    run_s: float | None = None


class Contents(Frozen):
    """What a file declares: its opset, the number of elements of its initializers, its card, its last layer."""

    opset: Positive
    parameters: Whole
    card: ModelCard | None
    output_layer: OutputLayer


class Behaviour(Frozen):
    """How a model runs; `batched` if its first axes are a batch of independent rows.

    `card` is the one of an image classifier, `backbone` the trial of a backbone.
    """

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    batched: bool
    card: ModelCard | None = None
    backbone: BackboneTrial | None = None
    warnings: tuple[ModelWarning, ...] = ()


class Findings(Frozen):
    """The findings on a model that can be served."""

    contents: Contents
    behaviour: Behaviour


class Verdict(Frozen):
    """Either findings or the reason for a rejection."""

    findings: Findings | None = None
    rejection: str = ""
