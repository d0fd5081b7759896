"""The recipe of one training run: every field of the spec that gradient descent needs, decided."""

from typing import Literal

from contract.base import Frozen
from contract.kinds.train import TrainSpec
from contract.training import RECIPES, Architecture, Augment, Cnn, Optimizer, architecture_name

Schedule = Literal["onecycle", "cosine", "constant"]


class Recipe(Frozen):
    """How a network is trained from its first weights to its last ones.

    A network from scratch sees images in which squares of `shrink` pixels a side are averaged, and of twice as many in
    the first part of the training, the share `halved` of it. `start` names the network whose weights it starts from.
    `body_rate` is the learning rate of the body as a share of the head's; 0 freezes it. `batch_statistics` is false to
    keep the running statistics of batch normalization. With `seconds`, the schedule follows the clock instead of the
    steps, and training ends when the time is over. Images are shuffled within `window` shards, or all of them.
    """

    architecture: Architecture = Cnn()
    start: str | None = None
    shrink: int = 1
    halved: float = 0.0
    epochs: int
    seconds: float | None = None
    batch_size: int
    optimizer: Optimizer
    body_rate: float = 1.0
    batch_statistics: bool = True
    schedule: Schedule
    label_smoothing: float
    augment: Augment | None
    class_weights: Literal["none", "balanced"] = "none"
    patience: int | None = None
    seed: int = 0
    window: int | None = None

    @classmethod
    def of(cls, spec: TrainSpec, **defaults: object) -> "Recipe":
        """Take the fields that the spec gives, then `defaults`, and the others from the recipe of its architecture."""
        architecture = spec.architecture or defaults.get("architecture") or Cnn()
        given = {name: getattr(spec, name) for name in cls.model_fields if name in TrainSpec.model_fields}
        given = {name: value for name, value in given.items() if value is not None}
        values = RECIPES[architecture_name(architecture) or "cnn"] | defaults | given | {"architecture": architecture}
        if values["augment"] is True:
            values["augment"] = defaults.get("augment") or Augment()
        elif values["augment"] is False:
            values["augment"] = None
        return cls.model_validate(values)

    def changes(self, earlier: "Recipe") -> str:
        """Describe the fields that differ from an earlier recipe, or return an empty text.

        `seconds` may differ: the time that is left is another one in every attempt.
        """
        pairs = ((name, getattr(earlier, name), getattr(self, name)) for name in type(self).model_fields)
        return ", ".join(
            f"{name} was {old} and is {new}" for name, old, new in pairs if old != new and name != "seconds"
        )
