"""The step `training`: ResNet-18 on CIFAR-10, and after how many seconds it has 94 % of the test images right."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.training.child import MANIFEST, main
from benchmarks.training.objects import FolderObjects
from benchmarks.training.runner import ROOT
from contract.datasets import DatasetManifest, Split
from contract.images import ImageSpec, Preprocessing
from contract.kinds.train import TrainSpec
from contract.models import ModelCard
from contract.training import Cnn, Epoch, ResNet18
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import MemoryImages, ShardedImages, TrainingData
from services.trainer.export import export
from services.trainer.recipe import Recipe
from services.trainer.train import train

TARGET = 0.94
SECONDS, FEW_SECONDS = 60.0, 3.0
IMAGES, FEW_IMAGES = (50_000, 10_000), (2_000, 500)
CALIBRATION = 256
IMAGE = {"size": [32, 32], "mode": "RGB", "resize": "stretch"}


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Train for a minute; leave the model and images for the step `variants`."""
    folder, rehearse = Path(request["folder"]), request["rehearse"]
    data = generated(*(FEW_IMAGES if rehearse else IMAGES))
    if request["data"] is not None:
        data = prepared(Path(request["data"]), folder / "cifar")
    spec = {"dataset": "data", "model": "model", "architecture": Cnn() if rehearse else ResNet18(name="resnet18")}
    recipe = Recipe.of(TrainSpec.model_validate(spec)).model_copy(
        update={"seconds": FEW_SECONDS if rehearse else SECONDS, "epochs": 1000}
    )
    epochs: list[Epoch] = []

    def on_epoch(checkpoint: Checkpoint) -> None:
        epochs.append(checkpoint.epochs[-1])

    trained = train(recipe, data, on_step=lambda *_: None, on_epoch=on_epoch)
    _leave(trained.model, data, folder)
    seconds = [sum(epoch.seconds for epoch in epochs[: number + 1]) for number in range(len(epochs))]
    accuracies = [epoch.val_accuracy or 0.0 for epoch in epochs]
    return {
        "data": "generated" if request["data"] is None else "CIFAR-10",
        "device": trained.device,
        "architecture": "cnn" if rehearse else "resnet18",
        "target": TARGET,
        "reached_s": reached(seconds, accuracies),
        "seconds": seconds[-1],
        "accuracy": accuracies[-1],
        "epochs": len(epochs),
        "images_per_s": len(epochs) * len(data.train) / seconds[-1],
    }


def reached(seconds: list[float], accuracies: list[float]) -> float | None:
    """Return the seconds of training with validation until the first epoch that has the target."""
    return next((second for second, share in zip(seconds, accuracies, strict=True) if share >= TARGET), None)


def generated(train_images: int, test_images: int) -> TrainingData:
    """Return ten blurred patterns with noise: as much to compute as CIFAR-10, but much easier."""
    random = np.random.default_rng(0)
    patterns = random.normal(0, 1, (10, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)

    def split(count: int) -> MemoryImages:
        labels = random.integers(0, 10, count)
        pixels = 128 + 25 * patterns[labels] + random.normal(0, 60, (count, 3, 32, 32)).astype(np.float32)
        return MemoryImages(np.clip(pixels, 0, 255).astype(np.uint8), labels.astype(np.int64))

    return TrainingData(split(train_images), split(test_images), (3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)


def prepared(archive: Path, folder: Path) -> TrainingData:
    """Prepare the archive as a job does; the test images take the place of the validation split.

    They choose nothing but the epoch whose weights are kept, and the accuracy told is that of the last epoch.
    """
    folder.mkdir()
    request, result = folder / "request.json", folder / "answer.json"
    files = {"archive": str(archive), "image": IMAGE, "prepared": str(folder)}
    request.write_text(json.dumps(files))
    command = [sys.executable, "-m", "benchmarks.training.prepare", str(request), str(result)]
    subprocess.run(command, cwd=ROOT, check=True)
    manifest = DatasetManifest.model_validate_json((folder / MANIFEST).read_text())
    objects = FolderObjects(folder)

    def split(*names: Split) -> ShardedImages:
        shards = [shard for name in names for shard in manifest.shards[name]]
        return ShardedImages([(objects.path(shard.images), objects.path(shard.labels)) for shard in shards])

    train_images, test_images = split(Split.TRAIN, Split.VAL), split(Split.TEST)
    shape = manifest.image.shape
    return TrainingData(train_images, test_images, shape, len(manifest.classes), manifest.mean, manifest.std)


def _leave(network: torch.nn.Module, data: TrainingData, folder: Path) -> None:
    """Write what the step `variants` needs."""
    card = ModelCard(
        labels=tuple(f"class {number}" for number in range(data.classes)),
        preprocessing=Preprocessing(image=ImageSpec(size=data.shape[1:]), mean=data.mean, std=data.std),
    )
    export(network, card, folder / "trained.onnx")
    np.save(folder / "calibration.npy", data.train.take(np.arange(CALIBRATION))[0].numpy())
    images, labels = data.val.take(np.arange(len(data.val)))
    np.save(folder / "check.npy", images.numpy())
    np.save(folder / "labels.npy", labels.numpy())


if __name__ == "__main__":
    main(measure)
