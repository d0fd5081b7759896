"""What every process of a training needs: how to train, and the state to go on from."""

import io
from dataclasses import dataclass
from typing import Any

import torch

from contract.base import Frozen
from contract.kinds.train import Replicas
from services.trainer.checkpoint import Checkpoint, Weights
from services.trainer.network import Blueprint, Network
from services.trainer.recipe import Recipe


class Terms(Frozen):
    """What does not change during a training; `shape` is that of the images before they are shrunk.

    `dataset` is the reference of its version, and `data` the `digest` of its images: one may be erased while a
    training runs, and all processes must have the same.
    """

    recipe: Recipe
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shards: int
    timeout_s: float
    dataset: str
    data: str
    replicas: Replicas
    blueprint: Blueprint | None = None


@dataclass(frozen=True)
class Plan:
    """The terms, the weights that the training starts from if it has any, and its last checkpoint."""

    terms: Terms
    start: Weights | None = None
    checkpoint: bytes | None = None

    def to_bytes(self) -> bytes:
        """Serialize with torch.save."""
        buffer = io.BytesIO()
        torch.save({"terms": self.terms.model_dump_json(), "start": self.start, "checkpoint": self.checkpoint}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Plan":
        """Read the output of `to_bytes`; raises pickle.UnpicklingError if it contains code."""
        fields: dict[str, Any] = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        return cls(**fields | {"terms": Terms.model_validate_json(fields["terms"])})

    @property
    def last(self) -> Checkpoint | None:
        return Checkpoint.from_bytes(self.checkpoint) if self.checkpoint else None

    @property
    def network(self) -> Network | None:
        """The network that the training starts from, None if its weights are drawn from the seed."""
        if self.terms.blueprint is None or self.start is None:
            return None
        network = self.terms.blueprint.build()
        network.load_state_dict(self.start)
        return network
