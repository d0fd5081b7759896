"""What the process that looks at a model tells the one that asked it to."""

from pathlib import Path

from contract.base import Frozen, Positive, Whole
from contract.models import ModelCard
from contract.training import TensorSignature


class Order(Frozen):
    """What to look at, and at what cost; `file` is replaced by one with the card in it, where there is one."""

    file: Path
    card: ModelCard | None
    memory_bytes: Positive
    cpu_s: Positive
    max_batch: Positive


class Contents(Frozen):
    """What a file says of itself: its opset, the elements of its initializers, and the card in it."""

    opset: Positive
    parameters: Whole
    card: ModelCard | None


class Behaviour(Frozen):
    """How a model runs; `batched` if its first axes are a batch of rows that do not depend on each other."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    batched: bool


class Findings(Frozen):
    """Of a model that may be served."""

    contents: Contents
    behaviour: Behaviour


class Verdict(Frozen):
    """Either findings or the reason of a refusal."""

    findings: Findings | None = None
    refused: str = ""
