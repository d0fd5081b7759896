"""The handler of trials: one training of a search or of a cross-validation, which ends with its weights and scores.

The weights are exported and evaluated once, by the parent, for the trials that are published.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.errors import BadModel, Cancelled
from contract.images import Preprocessing
from contract.kinds.trial import TrialOutcome, TrialSpec
from contract.search import Scores, Search
from media.judging.accuracy import accuracy, macro_f1
from media.judging.tally import Tally
from services.storage.jobs.children import ChildJob
from services.trainer.candidates import Candidate
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import ShardedImages
from services.trainer.device import Device
from services.trainer.methods import best_candidate
from services.trainer.search.folds import MOST_ANSWERS, without_fold
from services.trainer.search.study import Trial, prunes
from services.trainer.session import TRAINED
from services.trainer.transforms import Normalize
from services.trainer.worker import Loaded, load, session_of
from worker.task import Task

BATCH = 64


def run_trial(task: Task) -> TrialOutcome:
    """Train once; ends early if the time of the study is over, or if other trials are better. Raises BadModel."""
    started = time.monotonic()
    spec = TrialSpec.model_validate(task.job.spec)
    watched = WatchedTask(task, spec)
    if watched.late() and task.checkpoint is None:
        raise Cancelled("the time of the search was over before this trial began")
    with load(task, spec.training) as loaded:
        return _outcome(task, watched, spec, loaded, started)


def _outcome(task: Task, watched: "WatchedTask", spec: TrialSpec, loaded: Loaded, started: float) -> TrialOutcome:
    images, count = loaded.data.val, len(loaded.data.train)
    if spec.fold is not None:
        loaded, images = without_fold(loaded, spec.fold)
    best = best_candidate(session_of(watched, spec.training, loaded, started))
    task.report(TRAINED, "measuring the trial")
    logits = _logits(best, images)
    labels = loaded.dataset.classes
    preprocessing = Preprocessing(image=loaded.dataset.image, mean=best.data.mean, std=best.data.std)
    state = best.state(spec.training.model, preprocessing, labels)
    if state is None:
        raise BadModel("the network is an ONNX file, which search and folds cannot train; leave them out")
    scores = scores_of(logits, images.labels, len(labels))
    usable = logits.size <= MOST_ANSWERS and not watched.pruned
    combined = usable and spec.search is not None and spec.search.ensemble > 1
    return TrialOutcome(
        value=scores.of(spec.search.objective) if scores and spec.search else None,
        pruned=watched.pruned,
        scores=scores,
        epochs=best.epochs,
        best_epoch=best.best_epoch,
        method=best.method,
        label=best.label,
        decisions=best.choices,
        device=best.device,
        state=task.put("state.safetensors", state.to_bytes()),
        training_images=best.training_images,
        features=best.features,
        out_of_fold=task.put("out-of-fold.npy", _npy(task.folder, logits)) if spec.fold else None,
        validation=task.put("validation.npy", _npy(task.folder, logits)) if combined else None,
        images=count,
    )


class WatchedTask:
    """The task of a trial: after each epoch, it compares the trial with the others of its study."""

    def __init__(self, task: Task, spec: TrialSpec) -> None:
        self.job, self.folder, self.objects = task.job, task.folder, task.objects
        self.datasets, self.uploads, self.models = task.datasets, task.uploads, task.models
        self.backbones, self.holdings, self.reviews = task.backbones, task.holdings, task.reviews
        self.checkpoint, self.part, self.parts = task.checkpoint, task.part, task.parts
        self.pruned = False
        self._task = task
        self._spec = spec
        self._epochs = spec.training.epochs

    def late(self) -> bool:
        """Return whether the time of the study is over."""
        return self._spec.ends_at is not None and datetime.now(UTC) >= self._spec.ends_at

    @property
    def stop_early(self) -> bool:
        return self.pruned or self.late() or self._task.stop_early

    def report(self, fraction: float, message: str) -> None:
        self._task.report(fraction, message)

    def check_stop(self) -> None:
        self._task.check_stop()

    def offer_seats(self, endpoint: str, generation: int, count: int) -> str:
        return self._task.offer_seats(endpoint, generation, count)

    def ready_seats(self) -> frozenset[str]:
        return self._task.ready_seats()

    def withdraw_seats(self) -> None:
        self._task.withdraw_seats()

    def log(self, message: str) -> None:
        self._task.log(message)

    def children(self, parent: str | None = None) -> tuple[ChildJob, ...]:
        return self._task.children(parent)

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        return self._task.put(name, source)

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        self._task.save_checkpoint(name, source, metrics)
        search = self._spec.search
        if search is None or search.early_stop == "none" or metrics is None:
            return
        if self._epochs is None and isinstance(source, bytes):
            self._epochs = Checkpoint.from_bytes(source).recipe.epochs
        epoch, epochs = int(metrics["epoch"]), self._epochs or 0
        if epoch < epochs:
            self._compare(search, epoch, epochs)

    def _compare(self, search: Search, epoch: int, epochs: int) -> None:
        trials = [Trial.of(child, search.objective) for child in self.children(self._spec.study)]
        if prunes(search, self._spec.study, trials, self._spec.number, epochs):
            self.pruned = True
            self.log(f"ended after epoch {epoch} of {epochs}, because other trials were better by then")


def scores_of(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> Scores | None:
    """Return the scores of logits (n, classes); None without images."""
    if not len(labels):
        return None
    tally = Tally.of(logits, labels)
    matrix = tally.matrix(classes)
    return Scores(accuracy=accuracy(matrix), macro_f1=macro_f1(matrix), loss=tally.loss / tally.count)


@torch.no_grad()
def _logits(best: Candidate, images: ShardedImages) -> NDArray[np.float32]:
    """Return the logits (n, classes) of a network, in float32, as serving computes them."""
    if best.network is None or not len(images):
        return np.zeros((0, best.data.classes), np.float32)
    device = Device.pick(best.network).torch_device
    network, normalize = best.network.to(device).eval(), Normalize(best.data.mean, best.data.std).to(device)
    parts = np.array_split(np.arange(len(images)), -(-len(images) // BATCH))
    logits = [network(normalize(images.take(part)[0].to(device))).float().cpu() for part in parts]
    network.cpu()
    return torch.cat(logits).numpy()


def _npy(folder: Path, values: NDArray[np.float32]) -> Path:
    path = folder / "answers.npy"
    np.save(path, values)
    return path
