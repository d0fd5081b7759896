"""The overhead of the training loop over a bare PyTorch loop with the same maths on the same data."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.training.child import MANIFEST, main
from benchmarks.training.log import Line
from benchmarks.training.objects import FolderObjects
from contract.datasets import DatasetManifest, Split
from contract.kinds.train import TrainSpec
from contract.training import Adam
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import ShardedImages, TrainingData
from services.trainer.device import Device, use_all_cores
from services.trainer.learner import blueprint_of
from services.trainer.recipe import Recipe
from services.trainer.train import train

VALIDATED_AT_ONCE = 500  # images


def compare(request: Line) -> Line:
    """Train both ways in turn; return the seconds of each round."""
    use_all_cores()
    data, (images, labels) = loaded(Path(request["prepared"]))
    recipe = Recipe.of(TrainSpec.model_validate({"dataset": "data", "model": "model"} | request["spec"]))
    seconds: dict[str, list[float]] = {"loop_s": [], "bare_s": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(request["rounds"]):
            started = time.perf_counter()
            train(recipe, data, on_step=lambda *_: None, on_epoch=lambda state: store(state, Path(folder)))
            seconds["loop_s"].append(time.perf_counter() - started)
            started = time.perf_counter()
            bare(recipe, data, images, labels)
            seconds["bare_s"].append(time.perf_counter() - started)
    return seconds | {"images": len(labels), "epochs": recipe.epochs}


def loaded(prepared: Path) -> tuple[TrainingData, tuple[torch.Tensor, torch.Tensor]]:
    """Return a prepared data set as a job maps it into memory, and its training split as tensors."""
    manifest = DatasetManifest.model_validate_json((prepared / MANIFEST).read_text())
    objects = FolderObjects(prepared)
    splits = {
        split: ShardedImages([(objects.path(s.images), objects.path(s.labels)) for s in manifest.shards[split]])
        for split in (Split.TRAIN, Split.VAL)
    }
    train = splits[Split.TRAIN]
    data = TrainingData(
        train=train,
        val=splits[Split.VAL],
        shape=manifest.image.shape,
        classes=len(manifest.classes),
        mean=manifest.mean,
        std=manifest.std,
    )
    return data, train.take(np.arange(len(train)))


def store(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint, as a job does after each epoch."""
    (folder / "checkpoint.pt").write_bytes(checkpoint.to_bytes())


def bare(recipe: Recipe, data: TrainingData, images: torch.Tensor, labels: torch.Tensor) -> None:
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
    checked, answers = data.val.take(np.arange(len(data.val)))

    def inputs(pixels: torch.Tensor) -> torch.Tensor:
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=device.memory_format)

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


if __name__ == "__main__":
    main(compare)
