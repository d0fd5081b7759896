"""The recipe of one training run: every field of the spec that gradient descent needs, decided."""

from typing import Literal

from contract.base import Frozen
from contract.kinds.train import TrainSpec
from contract.training import RECIPES, Architecture, Augment, Cnn, Optimizer, architecture_name


class Recipe(Frozen):
    """How a network is trained from its first weights to its last ones."""

    architecture: Architecture = Cnn()
    epochs: int
    batch_size: int
    optimizer: Optimizer
    schedule: Literal["onecycle", "cosine", "constant"]
    label_smoothing: float
    augment: Augment | None
    seed: int = 0

    @classmethod
    def of(cls, spec: TrainSpec) -> "Recipe":
        """Take the fields that the spec gives, and the others from the recipe of its architecture."""
        architecture = spec.architecture or Cnn()
        values = RECIPES[architecture_name(architecture) or "cnn"] | spec.model_dump(exclude_none=True)
        augment = values["augment"]
        values["augment"] = (Augment() if augment else None) if isinstance(augment, bool) else augment
        return cls.model_validate({name: values[name] for name in cls.model_fields if name in values})
