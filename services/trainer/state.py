"""The weights of a trained network as a safetensors file, from which another training can start."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load, save

from contract.datasets import Label
from contract.images import Preprocessing
from services.trainer.backbones.registry import BACKBONES
from services.trainer.checkpoint import Weights
from services.trainer.features import export_body
from services.trainer.network import Blueprint, Network
from services.trainer.probe import Probe

_METADATA = "tidepool"
_HEAD = ("head.weight", "head.bias")
_HEADER_SIZE = 8  # bytes, little-endian: the length of the JSON header


@dataclass(frozen=True)
class State:
    """A network with its weights; `mean` and `std` are those of its normalization, per channel.

    A pretrained backbone has no labels, and its head is not trained.
    """

    name: str
    blueprint: Blueprint
    weights: Weights
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[Label, ...] = ()

    def to_bytes(self) -> bytes:
        """Serialize; equal states give equal bytes."""
        described = {
            "blueprint": self.blueprint.model_dump(mode="json"),
            "mean": self.mean,
            "std": self.std,
            "labels": self.labels,
        }
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.weights.items()}
        return save(tensors, {_METADATA: json.dumps(described)})

    @classmethod
    def from_bytes(cls, name: str, stored: bytes) -> Self:
        """Read the output of `to_bytes`."""
        length = int.from_bytes(stored[:_HEADER_SIZE], "little")
        header = json.loads(stored[_HEADER_SIZE : _HEADER_SIZE + length])
        described = json.loads(header["__metadata__"][_METADATA])
        return cls(
            name=name,
            blueprint=Blueprint.model_validate_json(json.dumps(described["blueprint"])),
            weights=load(stored),
            mean=tuple(described["mean"]),
            std=tuple(described["std"]),
            labels=tuple(described["labels"]),
        )

    @classmethod
    def of_backbone(cls, name: str, shape: tuple[int, int, int], side: int, classes: int) -> Self:
        """Return a pretrained backbone that scales images of (channels, height, width) to `side`; raises JobFailed."""
        backbone = BACKBONES[name]
        blueprint = Blueprint(shape=shape, classes=classes, backbone=name, resize=(side, side))
        network = blueprint.build()
        network.body[0] = backbone.build()  # type: ignore[operator]
        channels = shape[0]
        return cls(name, blueprint, network.state_dict(), (backbone.mean,) * channels, (backbone.std,) * channels)

    def write_body(
        self, shape: tuple[int, int, int], labels: tuple[Label, ...], preprocessing: Preprocessing, path: Path
    ) -> None:
        """Write the ONNX file that computes the features of a dataset's images."""
        network = self.network(shape, labels)
        export_body(network, network.head.in_features, preprocessing, path)

    def classifier(self, shape: tuple[int, int, int], labels: tuple[Label, ...], head: Probe) -> Network:
        """Build the network for these images and classes, with the head of a probe."""
        return with_probe(self.network(shape, labels), head).eval()

    def blueprint_of(self, shape: tuple[int, int, int], classes: int) -> Blueprint:
        """Return the network without its weights for these images and classes."""
        return self.blueprint.of_images(shape, classes)

    def network(self, shape: tuple[int, int, int], labels: tuple[Label, ...]) -> Network:
        """Build the network with its weights for these images and classes.

        Classes that the state has keep their rows of the head; the rows of new classes are zero.
        """
        network = self.blueprint.of_images(shape, len(labels)).build()
        head = {name: torch.zeros_like(value) for name, value in network.state_dict().items() if name in _HEAD}
        for number, label in enumerate(labels):
            if label in self.labels:
                for name, rows in head.items():
                    rows[number] = self.weights[name][self.labels.index(label)]
        network.load_state_dict(self.weights | head)
        return network


def with_probe(network: Network, head: Probe) -> Network:
    """Set the head of a network to that of a probe; return the network."""
    network.head.load_state_dict({"weight": head.weight, "bias": head.bias})
    return network
