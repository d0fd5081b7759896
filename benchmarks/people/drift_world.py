"""A model of CIFAR-10 and how it answers images as they were taken, darker, brighter and blurred."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from contract.drift import DriftCounts, DriftReference, NumberStatistic
from contract.images import ImageSpec
from contract.training import RECIPES, Augment, Cnn
from media.drift.counting import bin_counts
from media.drift.images import measure
from media.images.decoding import decode
from media.judging.temperature import fit_temperature, probabilities
from services.trainer.data import MemoryImages, TrainingData
from services.trainer.network import Network
from services.trainer.probe import Labels
from services.trainer.recipe import Recipe
from services.trainer.train import train

Pixels = NDArray[np.uint8]

EPOCHS = 5
VALIDATION = 2_000
AT_ONCE = 500


@dataclass(frozen=True)
class Answered:
    """What a model answers to images, and what is measured of them, by bin; `true` are their classes."""

    classes: tuple[str, ...]
    predicted: Labels
    scores: NDArray[np.float64]
    brightness: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    true: Labels

    def __len__(self) -> int:
        return len(self.true)

    def counts(self, chosen: Labels) -> DriftCounts:
        """Count the images with these numbers, as a replica does."""
        predicted = np.bincount(self.predicted[chosen], minlength=len(self.classes)).tolist()
        columns: dict[NumberStatistic, NDArray[np.float64]] = {
            "confidence": self.scores,
            "brightness": self.brightness,
            "sharpness": self.sharpness,
        }
        bins = {name: bin_counts(name, values[chosen]) for name, values in columns.items()}
        return DriftCounts.model_validate(
            {
                "classes": dict(zip(self.classes, predicted, strict=True)),
                "confidence_sum": float(self.scores[chosen].sum()),
                **bins,
            }
        )

    def reference(self) -> DriftReference:
        """Return the reference that a training would make of all images, none of which may be of a new class."""
        accuracy = float((self.predicted == self.true).mean())
        counts = self.counts(np.arange(len(self)))
        return DriftReference.model_validate(counts.model_dump() | {"accuracy": accuracy})


@dataclass(frozen=True)
class World:
    """A model's answers to its validation images and, by condition, to the images that clients send."""

    validation: Answered
    requests: Mapping[str, Answered]


def darker(images: Pixels) -> Pixels:
    return (images * 0.6).astype(np.uint8)


def brighter(images: Pixels) -> Pixels:
    return np.clip(images * 1.5, 0, 255).astype(np.uint8)


def blurred(images: Pixels) -> Pixels:
    """Blur by a Gaussian of one pixel, which is much at 32 × 32."""
    pictures = (Image.fromarray(image.transpose(1, 2, 0)) for image in images)
    soft = [np.asarray(picture.filter(ImageFilter.GaussianBlur(1))) for picture in pictures]
    return np.array(soft).transpose(0, 3, 1, 2)


CONDITIONS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "as taken": lambda images: images,
    "darker": darker,
    "brighter": brighter,
    "blurred": blurred,
}


def read(archive: Path) -> tuple[tuple[str, ...], dict[str, tuple[Pixels, Labels]]]:
    """Return the classes, and the images and labels of the splits `train` and `test` of cifar10.zip."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        classes = tuple(sorted({name.split("/")[1] for name in names}))
        splits = {}
        for split in ("train", "test"):
            members = [name for name in names if name.startswith(split)]
            images = np.array([decode(file.read(name), ImageSpec()) for name in members])
            splits[split] = images, np.array([classes.index(name.split("/")[1]) for name in members])
    return classes, splits


def build(classes: Sequence[str], splits: Mapping[str, tuple[Pixels, Labels]], without: str | None = None) -> World:
    """Train a network, without the images of one class, and let it answer the test images; takes a minute or two."""
    known = tuple(name for name in classes if name != without)
    numbers = np.array([known.index(name) if name in known else len(known) for name in classes])
    images, labels = splits["train"][0], numbers[splits["train"][1]]
    order = np.random.default_rng(0).permutation(np.flatnonzero(labels < len(known)))
    held, rest = order[:VALIDATION], order[VALIDATION:]
    network = _trained(images[rest], labels[rest], len(known))
    temperature = fit_temperature(_logits(network, images[held]), labels[held])
    test = splits["test"][0], numbers[splits["test"][1]]
    requests = {
        name: _answered(network, temperature, known, condition(test[0]), test[1])
        for name, condition in CONDITIONS.items()
        if without is None or name == "as taken"
    }
    return World(_answered(network, temperature, known, images[held], labels[held]), requests)


def _trained(images: Pixels, labels: Labels, classes: int) -> Network:
    recipe = Recipe.model_validate(
        RECIPES["cnn"] | {"architecture": Cnn(), "epochs": EPOCHS, "augment": Augment(), "label_smoothing": 0.0}
    )
    data = TrainingData(
        train=MemoryImages(images, labels),
        val=MemoryImages(images[:0], labels[:0]),
        shape=images.shape[1:],
        classes=classes,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )
    return train(recipe, data, on_step=lambda *_: None, on_epoch=lambda _: None).model


@torch.no_grad()
def _logits(network: Network, images: Pixels) -> NDArray[np.float32]:
    parts = (torch.from_numpy(images[start : start + AT_ONCE]) for start in range(0, len(images), AT_ONCE))
    return np.concatenate([network((part.float() / 255 - 0.5) / 0.25).numpy() for part in parts])


def _answered(
    network: Network, temperature: float, classes: tuple[str, ...], images: Pixels, labels: Labels
) -> Answered:
    scores = probabilities(_logits(network, images), temperature)
    measured = measure(images)
    return Answered(classes, scores.argmax(axis=1), scores.max(axis=1), measured.brightness, measured.sharpness, labels)
