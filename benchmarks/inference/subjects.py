"""The models of the benchmark and their export."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from contract.images import ImageSpec, Preprocessing
from contract.layers import BatchNorm, Conv, Dense, Empty, Flatten, MaxPool, Relu
from contract.models import ModelCard
from contract.training import Architecture, Layers, Mlp, ResNet18
from services.trainer.export import export
from services.trainer.model import build

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def _convolutions(width: int) -> tuple[Conv | BatchNorm | Relu | MaxPool, ...]:
    one = (Conv(conv=width), BatchNorm(batchnorm=Empty()), Relu(relu=Empty()))
    return (*one, *one, MaxPool(maxpool=2))


_SMALL_CNN = Layers(
    layers=(
        *_convolutions(32),
        *_convolutions(64),
        *_convolutions(128),
        Flatten(flatten=Empty()),
        Dense(dense=128),
        Relu(relu=Empty()),
    )
)

# The architecture, the side of its images in pixels, and the number of classes.
ARCHITECTURES: dict[str, tuple[Architecture, int, int]] = {
    "mlp": (Mlp(name="mlp", hidden=(128,)), 32, 10),
    "cnn": (_SMALL_CNN, 32, 10),
    "resnet18": (ResNet18(name="resnet18"), 224, 1000),
}


# The models whose int8 variant is measured, too.
QUANTIZED = ("cnn",)


@dataclass(frozen=True)
class Subject:
    """An exported model for square RGB images of `side` pixels; `int8` is the variant that training would make."""

    name: str
    file: Path
    side: int
    int8: Path | None = None

    @property
    def payloads(self) -> tuple[str, ...]:
        """The payloads of its requests; photos are for models of images that people send."""
        small = ("jpeg", "tensor")
        return (*small, "photo", "photo-png") if self.side > 64 else small

    @property
    def time_factor(self) -> int:
        """The factor of the measuring time: larger models answer tens of requests per second, tiny ones thousands."""
        return 3 if self.side > 64 else 1


def export_subjects(names: Iterable[str], folder: Path) -> list[Subject]:
    """Export the models with the trainer's exporter, with random weights that are the same in every run."""
    return [_export(name, folder / f"{name}.onnx") for name in names]


def _export(name: str, file: Path) -> Subject:
    architecture, side, classes = ARCHITECTURES[name]
    torch.manual_seed(0)
    card = ModelCard(
        labels=tuple(f"class {number}" for number in range(classes)),
        preprocessing=Preprocessing(image=ImageSpec(size=(side, side)), mean=MEAN, std=STD),
    )
    export(build(architecture, card.preprocessing.image.shape, classes), card, file)
    subject = Subject(name, file, side)
    return replace(subject, int8=_quantize(subject)) if name in QUANTIZED else subject


def _quantize(subject: Subject) -> Path:
    """Make the int8 variant by the command that trainings run; raises RuntimeError if it could not be made."""
    folder = subject.file.with_suffix("")
    folder.mkdir()
    random = np.random.default_rng(0)
    images = [folder / "calibration.npy", folder / "check.npy"]
    for file in images:
        np.save(file, random.integers(0, 256, (256, 3, subject.side, subject.side), np.uint8))
    command = [sys.executable, "-m", "services.inference.quantization.command", str(subject.file), *map(str, images)]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True)
    if reason := json.loads(done.stdout)["failures"].get("int8"):
        raise RuntimeError(reason)
    return folder / "int8.onnx"
