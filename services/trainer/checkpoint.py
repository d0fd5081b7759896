"""The state of a training after an epoch, and its serialization."""

import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from contract.training import Epoch

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after the last of `epochs`. It has no random state, because every epoch seeds the generators."""

    model: Weights
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best: Weights
    epochs: tuple[Epoch, ...]

    def to_bytes(self) -> bytes:
        """Serialize with torch.save."""
        buffer = io.BytesIO()
        torch.save(vars(self) | {"epochs": [epoch.model_dump() for epoch in self.epochs]}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Checkpoint":
        """Read the output of `to_bytes` into CPU memory; raises pickle.UnpicklingError if it contains code."""
        fields = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        return cls(**fields | {"epochs": tuple(Epoch.model_validate(epoch) for epoch in fields["epochs"])})
