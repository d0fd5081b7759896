"""The messages between the vetting job and the process that examines a model."""

from pathlib import Path

from contract.base import Frozen, Positive, Whole
from contract.models import ModelCard
from contract.training import TensorSignature


class ExaminerRequest(Frozen):
    """The file to examine, and the limits. If there is a `card`, the examiner writes it into `file`."""

    file: Path
    card: ModelCard | None
    memory_bytes: Positive
    cpu_s: Positive
    max_batch: Positive


class Contents(Frozen):
    """What a file declares: its opset, the number of elements of its initializers, and its card."""

    opset: Positive
    parameters: Whole
    card: ModelCard | None


class Behaviour(Frozen):
    """How a model runs; `batched` if its first axes are a batch of independent rows."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    batched: bool


class Findings(Frozen):
    """The findings on a model that can be served."""

    contents: Contents
    behaviour: Behaviour


class Verdict(Frozen):
    """Either findings or the reason for a rejection."""

    findings: Findings | None = None
    rejection: str = ""
