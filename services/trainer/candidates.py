"""What a way of training ends with, to be compared with the others."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from contract.choices import Choice
from contract.datasets import Label
from contract.evaluation import TrainingImages
from contract.images import Preprocessing
from contract.training import Epoch, FeatureFile, Method
from services.trainer.data import TrainingData
from services.trainer.model import parameters
from services.trainer.network import Blueprint
from services.trainer.probe import Probe
from services.trainer.schedule import best_of
from services.trainer.state import State


@dataclass(frozen=True)
class Candidate:
    """A trained network; accuracy and loss are of the validation split, None without one.

    `network` and `blueprint` are None for a probe of a backbone that is an ONNX file, `blueprint` for an ensemble.
    """

    method: Method
    label: str  # its name in the comparison
    network: nn.Module | None
    blueprint: Blueprint | None
    data: TrainingData
    choices: tuple[Choice, ...]
    unchanged: bool = False  # the network that fine-tuning started from
    accuracy: float | None = None
    loss: float | None = None
    epochs: tuple[Epoch, ...] = ()
    device: str = "cpu"
    probe: Probe | None = None
    body: Path | None = None  # the ONNX file of the network without its head
    body_parameters: int = 0  # of that file, if there is no network
    features: FeatureFile | None = None  # to keep with the dataset
    training_images: TrainingImages | None = None

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights these are, from 1; None for the weights of a probe or of an unchanged model."""
        return best_of(self.epochs).epoch if self.epochs and not self.unchanged else None

    @property
    def rank(self) -> tuple[float, float]:
        return (self.accuracy or 0.0, -(self.loss or 0.0))

    @property
    def parameters(self) -> int:
        """The number of trainable weights of the network, or of the graph and the head."""
        if self.network is not None:
            return parameters(self.network)
        head = 0 if self.probe is None else self.probe.weight.numel() + self.probe.bias.numel()
        return self.body_parameters + head

    def state(self, name: str, preprocessing: Preprocessing, labels: tuple[Label, ...]) -> State | None:
        """Return the weights of the network, from which another training can start; None if there is no blueprint."""
        if self.network is None or self.blueprint is None:
            return None
        weights = self.network.state_dict()
        return State(name, self.blueprint, weights, preprocessing.mean, preprocessing.std, labels)
