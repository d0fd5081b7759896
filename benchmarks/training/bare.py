"""The overhead of the training loop over a bare PyTorch loop with the same maths."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from benchmarks.training.data import Arrays
from contract.kinds.train import TrainSpec
from services.trainer.data import MemoryImages, TrainingData
from services.trainer.device import use_all_cores
from services.trainer.learner import Learner
from services.trainer.recipe import Recipe
from services.trainer.train import train

SPEC = {
    "dataset": "data",
    "model": "model",
    "architecture": {"name": "cnn"},
    "epochs": 3,
    "schedule": "constant",
    "augment": False,
    "label_smoothing": 0.0,
}
ROUNDS = 3


def overhead(arrays: Arrays) -> str:
    """Train both ways in turn, and describe the medians."""
    use_all_cores()
    images, labels = arrays["train"]
    empty = MemoryImages(images[:0], labels[:0])
    data = TrainingData(MemoryImages(images, labels), empty, images.shape[1:], 10, (0.5,) * 3, (0.25,) * 3)
    recipe = Recipe.of(TrainSpec.model_validate(SPEC))
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            train(recipe, data, on_step=lambda *_: None, on_epoch=lambda c: store(c.to_bytes(), Path(folder)))
            seconds["ours"].append(time.perf_counter() - started)
            started = time.perf_counter()
            bare(recipe, data, images, labels)
            seconds["bare"].append(time.perf_counter() - started)
    ours, plain = (float(np.median(seconds[name])) for name in ("ours", "bare"))
    return f"training loop {ours:.1f} s, bare PyTorch {plain:.1f} s: {ours / plain - 1:+.1%} (target ≤ 5 %)"


def store(checkpoint: bytes, folder: Path) -> None:
    (folder / "checkpoint.pt").write_bytes(checkpoint)


def bare(recipe: Recipe, data: TrainingData, images: np.ndarray, labels: np.ndarray) -> None:
    """Train as in a tutorial, on the network and optimizer of a learner."""
    learner = Learner(recipe, data)
    learner.model.train()
    pixels, targets = torch.from_numpy(images), torch.from_numpy(labels)
    for _ in range(recipe.epochs):
        for batch in torch.randperm(len(labels)).split(recipe.batch_size):
            inputs = ((pixels[batch].float() / 255 - 0.5) / 0.25).contiguous(memory_format=learner.device.memory_format)
            with learner.device.autocast():
                logits = learner.model(inputs)
            loss = cross_entropy(logits.float(), targets[batch])
            learner.optimizer.zero_grad()
            loss.backward()
            learner.optimizer.step()
