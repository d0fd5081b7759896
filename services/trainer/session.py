"""What the ways of a training share: the job, its data, and the network that it starts from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import numpy as np

from contract.datasets import DatasetManifest
from contract.evaluation import TrainingImages
from contract.images import Preprocessing
from contract.kinds.train import TrainSpec
from services.trainer.backbones.brought import Graph
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import IndexedImages, Names, TrainingData, nameless
from services.trainer.decisions import Facts
from services.trainer.recipe import Recipe
from services.trainer.state import State
from worker.task import Task

TRIED = 0.4  # the job's progress (0..1) after each stage
TRAINED = 0.92
RESERVE = 0.05  # of a budget, for the last validation


@dataclass
class Session:
    """One attempt at a training."""

    task: Task
    spec: TrainSpec
    data: TrainingData
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    state: State | Graph | None  # of the model or backbone that `init_from` names
    origin: Callable[[str], State | Graph]
    index: IndexedImages | None
    started: float
    dataset: tuple[str, DatasetManifest]  # with its reference
    training_images: TrainingImages | None = None  # what the training has noticed about them so far

    @cached_property
    def facts(self) -> Facts:
        counts = np.bincount(self.data.train.labels, minlength=self.data.classes)
        return Facts(self.data.shape, tuple(counts.tolist()))

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        stored = self.task.checkpoint
        return Checkpoint.from_bytes(self.task.objects.read(stored)) if stored else None

    @property
    def names(self) -> Names:
        return self.index.names if self.index else nameless

    @property
    def resumed(self) -> Recipe | None:
        """The recipe of the checkpoint: a training ends as it began, also if a newer release would decide otherwise."""
        return self.checkpoint.recipe if self.checkpoint else None

    def seconds(self) -> float | None:
        """Return the time that the budget leaves for the training."""
        if self.spec.budget is None:
            return None
        total = 60 * self.spec.budget.minutes
        return max(total * (1 - RESERVE) - (time.monotonic() - self.started), 1.0)

    def start(self, name: str) -> State | Graph:
        """Return the network that `init_from` names, or else the backbone of this name."""
        return self.state if self.state is not None else self.origin(name)

    def preprocessing_of(self, state: State | Graph) -> Preprocessing:
        """Return the preprocessing with the normalization of a network."""
        mean, std = self._normalization(state)
        return self.preprocessing.model_copy(update={"mean": mean, "std": std})

    def data_of(self, state: State | Graph) -> TrainingData:
        """Return the data with the normalization of a network."""
        mean, std = self._normalization(state)
        return replace(self.data, mean=mean, std=std)

    def _normalization(self, state: State | Graph) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and std of a network for each channel of the images; grey ones get the mean over the colours."""
        channels = self.data.shape[0]
        if len(state.mean) == channels:
            return state.mean, state.std
        return (fmean(state.mean),) * channels, (fmean(state.std),) * channels
