"""Where a model comes from: enough to train it again."""

from typing import Any

from contract.base import Frozen, Sha256
from contract.references import ReferenceText


class Lineage(Frozen):
    """The inputs of a training. On a CPU, the same data, spec, seed and libraries give the same bytes.

    `data_sha256` is that of the dataset version (`DatasetManifest.data_sha256`), `libraries` are versions by name.
    """

    data_sha256: Sha256 | None
    code_version: str
    spec: dict[str, Any]
    seed: int
    libraries: dict[str, str]
    hardware: str
    parent: ReferenceText | None = None
