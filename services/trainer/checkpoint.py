"""The only place that says what a training needs to go on after an epoch, and how that is stored."""

import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from contract.training import Epoch

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after the last of `epochs`; there is no random state in it, as every epoch seeds its own."""

    model: Weights
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best: Weights
    epochs: tuple[Epoch, ...]

    def to_bytes(self) -> bytes:
        """Serialise with torch.save."""
        buffer = io.BytesIO()
        torch.save(vars(self) | {"epochs": [epoch.model_dump() for epoch in self.epochs]}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote, into CPU memory; code in it is refused."""
        fields = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        return cls(**fields | {"epochs": tuple(Epoch.model_validate(epoch) for epoch in fields["epochs"])})
