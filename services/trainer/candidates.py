"""What a way of training ends with, to be compared with the others."""

from dataclasses import dataclass
from pathlib import Path

from contract.choices import Choice
from contract.evaluation import TrainingImages
from contract.training import Epoch, FeatureFile, Method
from services.trainer.data import TrainingData
from services.trainer.network import Blueprint, Network
from services.trainer.probe import Probe
from services.trainer.schedule import best_of


@dataclass(frozen=True)
class Candidate:
    """A trained network; accuracy and loss are of the validation split, None without one."""

    method: Method
    label: str  # its name in the comparison
    network: Network
    blueprint: Blueprint
    data: TrainingData
    choices: tuple[Choice, ...]
    unchanged: bool = False  # the network that fine-tuning started from
    accuracy: float | None = None
    loss: float | None = None
    epochs: tuple[Epoch, ...] = ()
    device: str = "cpu"
    probe: Probe | None = None
    body: Path | None = None  # the ONNX file of the network without its head
    features: FeatureFile | None = None  # to keep with the dataset
    training_images: TrainingImages | None = None

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights these are, from 1; None for the weights of a probe or of an unchanged model."""
        return best_of(self.epochs).epoch if self.epochs and not self.unchanged else None

    @property
    def rank(self) -> tuple[float, float]:
        return (self.accuracy or 0.0, -(self.loss or 0.0))


def with_probe(network: Network, head: Probe) -> Network:
    """Set the head of a network to that of a probe; return the network."""
    network.head.load_state_dict({"weight": head.weight, "bias": head.bias})
    return network
