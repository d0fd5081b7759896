"""The overhead of the training loop over a bare PyTorch loop with the same maths on the same data."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.page import Line
from benchmarks.training.child import MANIFEST, main
from benchmarks.training.objects import FolderObjects
from contract.datasets import DatasetManifest, Split
from contract.kinds.train import TrainSpec
from contract.training import Adam
from services.trainer.checkpoint import Checkpoint
from services.trainer.cores import use_cores
from services.trainer.data import MemoryImages, ShardedImages, TrainingData
from services.trainer.device import Device
from services.trainer.learner import blueprint_of
from services.trainer.recipe import Recipe
from services.trainer.train import train

VALIDATED_AT_ONCE = 500  # images


def measure(request: Line) -> Line:
    """Train with the loop of Tidepool or, if the request says `bare`, with the bare one; return the seconds.

    Two steps come first, because PyTorch imports and initializes much in the first one.
    """
    use_cores()
    recipe = Recipe.of(TrainSpec.model_validate({"dataset": "data", "model": "model"} | request["spec"]))
    run = bare if request["bare"] else ours
    data = loaded(Path(request["prepared"]))
    images, labels = data.train.take(np.arange(2 * recipe.batch_size))
    few = MemoryImages(images.numpy(), labels.numpy())
    run(recipe.model_copy(update={"epochs": 1}), replace(data, train=few, val=few))
    return {"seconds": run(recipe, data)}


def ours(recipe: Recipe, data: TrainingData) -> float:
    """Train with the loop of Tidepool, and write a checkpoint after each epoch, as a job does."""
    with tempfile.NamedTemporaryFile() as file:

        def on_epoch(checkpoint: Checkpoint) -> None:
            Path(file.name).write_bytes(checkpoint.to_bytes())

        started = time.perf_counter()
        train(recipe, data, on_step=lambda *_: None, on_epoch=on_epoch)
        return time.perf_counter() - started


def loaded(prepared: Path) -> TrainingData:
    """Return a prepared data set as a job maps it into memory."""
    manifest = DatasetManifest.model_validate_json((prepared / MANIFEST).read_text())
    objects = FolderObjects(prepared)
    splits = {
        split: ShardedImages([(objects.path(s.images), objects.path(s.labels)) for s in manifest.shards[split]])
        for split in (Split.TRAIN, Split.VAL)
    }
    return TrainingData(
        train=splits[Split.TRAIN],
        val=splits[Split.VAL],
        shape=manifest.image.shape,
        classes=len(manifest.classes),
        mean=manifest.mean,
        std=manifest.std,
    )


def bare(recipe: Recipe, data: TrainingData) -> float:
    """Train as in a tutorial, with PyTorch's optimizer, all images in memory, and a validation after each epoch."""
    network: nn.Module = blueprint_of(recipe, data).build()
    device = Device.pick(network)
    network = network.to(memory_format=device.memory_format)  # type: ignore[call-overload]
    options = recipe.optimizer.model_dump(exclude={"name"})
    if isinstance(recipe.optimizer, Adam):
        optimizer: torch.optim.Optimizer = torch.optim.Adam(network.parameters(), **options, fused=True)
    else:
        optimizer = torch.optim.SGD(network.parameters(), **options, nesterov=True, fused=True)
    mean, std = (torch.tensor(values)[:, None, None] for values in (data.mean, data.std))
    images, labels = data.train.take(np.arange(len(data.train)))
    checked, answers = data.val.take(np.arange(len(data.val)))

    def inputs(pixels: torch.Tensor) -> torch.Tensor:
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=device.memory_format)

    started = time.perf_counter()
    for _ in range(recipe.epochs):
        network.train()
        for batch in torch.randperm(len(labels)).split(recipe.batch_size):
            with device.autocast():
                logits = network(inputs(images[batch]))
            loss = cross_entropy(logits.float(), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            for batch in torch.arange(len(answers)).split(VALIDATED_AT_ONCE):
                cross_entropy(network(inputs(checked[batch])), answers[batch])
    return time.perf_counter() - started


if __name__ == "__main__":
    main(measure)
