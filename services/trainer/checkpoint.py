"""The state of a training after an epoch, and its serialization."""

import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from contract.training import Epoch
from services.trainer.recipe import Recipe

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state after the last of `epochs`. It has no random state, because every epoch seeds the generators.

    `seconds` is the time that the training has taken so far, over all attempts. `probe` is the linear head that the
    network is compared with at the end, if there is one (`Probe.to_tensors`). `image_losses` are those of the training
    images (`ImageLosses`), and `training_images` what is known of them so far, as JSON.
    """

    model: Weights
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    best: Weights
    epochs: tuple[Epoch, ...]
    recipe: Recipe
    seconds: float = 0.0
    probe: Weights | None = None
    image_losses: Tensor | None = None
    training_images: str | None = None

    def to_bytes(self) -> bytes:
        """Serialize with torch.save."""
        buffer = io.BytesIO()
        plain = {"epochs": [epoch.model_dump() for epoch in self.epochs], "recipe": self.recipe.model_dump_json()}
        torch.save(vars(self) | plain, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Checkpoint":
        """Read the output of `to_bytes` into CPU memory; raises pickle.UnpicklingError if it contains code."""
        fields = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
        epochs = tuple(Epoch.model_validate(epoch) for epoch in fields["epochs"])
        return cls(**fields | {"epochs": epochs, "recipe": Recipe.model_validate_json(fields["recipe"])})
