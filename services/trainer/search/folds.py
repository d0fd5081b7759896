"""Cross-validation: several trainings each leave out another part of the training images, and one sees them all.

The validation split chooses the best epoch of each, as in any training. So the images that a training has left out say
how good it is without having had a part in it. The last training, which is published, is an ordinary one.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.datasets import Split
from contract.division import NewChild, Waiting
from contract.errors import Cancelled, Invalid
from contract.evaluation import TrainingImages
from contract.jobs import JobState
from contract.kinds.train import TrainSpec
from contract.kinds.trial import TrialOutcome, TrialSpec
from contract.search import Fold, FoldReport, Scores, Spread
from contract.training import ModelManifest
from services.storage.jobs.children import ChildJob
from services.trainer.data import IndexedImages, Indices, ShardedImages, nameless, numbers
from services.trainer.out_of_fold import judged_by
from services.trainer.probe import ranks
from services.trainer.search.publishing import published
from services.trainer.worker import Loaded, load
from worker.task import Task

SHARE = 0.9  # of the job's progress, for the trainings
MOST_ANSWERS = 25_000_000  # images × classes, of 4 bytes each, whose labels are judged


def cross_validate(task: Task, spec: TrainSpec) -> Waiting | ModelManifest:
    """Create the trainings, wait for them, or publish the one that sees all images, whose number is the last.

    Raises Invalid if a training has failed, Cancelled if a person wants the best model and there is none yet.
    """
    count = spec.folds or 0
    children, stopping = task.children(), task.stop_early
    for child in children:
        if child.ended and child.job.state is not JobState.SUCCEEDED and not stopping:
            raise Invalid(f"{_title(child.number, count)} {_reason(child)}")
    over = sum(child.ended for child in children)
    created = {child.number for child in children}
    missing = [] if stopping else [number for number in range(count + 1) if number not in created]
    if not missing and over == len(children):
        return _finished(task, spec, children, count)
    return Waiting(
        kind="trial",
        children=tuple(NewChild(number=number, spec=_trial(task, spec, number)) for number in missing),
        seen=over,
        fraction=SHARE * over / (count + 1),
        message=f"{over} of {count + 1} trainings have ended: {count} folds, and one on all images",
        stopping=stopping,
    )


def without_fold(loaded: Loaded, fold: Fold) -> tuple[Loaded, ShardedImages]:
    """Return the data without a fold of the training images, and the images of that fold."""
    images = loaded.data.train
    left_out = members(images.labels, fold)
    kept = np.flatnonzero(~left_out)
    index = None if loaded.index is None else KeptIndex(loaded.index, kept)
    describe = numbers if index is None else index.describe
    data = replace(loaded.data, train=SomeImages(images, kept), describe=describe)
    return replace(loaded, data=data, index=index), SomeImages(images, np.flatnonzero(left_out))


def members(labels: NDArray[np.int64], fold: Fold) -> NDArray[np.bool_]:
    """Mark the images of a fold; the images of each class are spread over the folds in their order."""
    marked: NDArray[np.bool_] = ranks(labels) % fold.of == fold.number
    return marked


class SomeImages(ShardedImages):
    """The images with these numbers of a split."""

    def __init__(self, images: ShardedImages, rows: Indices) -> None:
        self._all, self._rows = images, rows
        self.labels = images.labels[rows]
        self.folder, self.window = images.folder, images.window
        self.ends = np.searchsorted(rows, images.ends)

    def shrunk(self, factor: int) -> "SomeImages":
        return SomeImages(self._all.shrunk(factor), self._rows)

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        return self._all.take(self._rows[indices])


class KeptIndex(IndexedImages):
    """The hashes and paths of the training images with these numbers, and of all others."""

    def __init__(self, index: IndexedImages, rows: Indices) -> None:
        self._all, self._rows = index, rows

    def hashes(self, split: Split, indices: Indices) -> list[bytes]:
        return self._all.hashes(split, self._rows[indices] if split is Split.TRAIN else indices)

    def names(self, indices: Indices) -> list[tuple[str | None, str | None]]:
        return self._all.names(self._rows[indices])

    def describe(self, indices: Indices) -> str:
        return self._all.describe(self._rows[indices])


def _trial(task: Task, spec: TrainSpec, number: int) -> dict[str, object]:
    training = spec.model_copy(update={"folds": None})
    fold = Fold(number=number, of=spec.folds or 0) if number != spec.folds else None
    trial = TrialSpec(training=training, study=task.job.id, number=number, fold=fold)
    return trial.model_dump(mode="json")


def _finished(task: Task, spec: TrainSpec, children: Sequence[ChildJob], count: int) -> ModelManifest:
    outcomes = {
        child.number: TrialOutcome.model_validate(child.job.result)
        for child in children
        if child.job.state is JobState.SUCCEEDED
    }
    last = outcomes.pop(count, None)
    if last is None:
        raise Cancelled("the training on all images was asked to stop before its first epoch had ended")
    training = spec.model_copy(update={"folds": None})
    with load(task, training) as loaded:
        manifest = published(task, loaded, training, last)
        if len(outcomes) < count:  # a person did not want to wait for them
            return manifest
        judged = _judged(task, loaded, outcomes)
    if last.training_images is not None:
        judged = judged.model_copy(update={"slowest": last.training_images.slowest})
    return manifest.model_copy(update={"training_images": judged, "folds": report(outcomes)})


def report(outcomes: dict[int, TrialOutcome]) -> FoldReport | None:
    """Return the means and deviations of the folds; None if a fold has no images, as with fewer images than folds."""
    scores = [outcome.scores for _, outcome in sorted(outcomes.items()) if outcome.scores is not None]
    if len(scores) < 2:
        return None
    return FoldReport(
        folds=len(scores),
        accuracy=_spread(scores, "accuracy"),
        macro_f1=_spread(scores, "macro_f1"),
        loss=_spread(scores, "loss"),
        accuracies=tuple(score.accuracy for score in scores),
    )


def _spread(scores: Sequence[Scores], name: str) -> Spread:
    values = [float(getattr(score, name)) for score in scores]
    return Spread(mean=statistics.fmean(values), deviation=statistics.stdev(values))


def _judged(task: Task, loaded: Loaded, outcomes: dict[int, TrialOutcome]) -> TrainingImages:
    """List the likely label errors of all training images, each judged by the training that has left it out."""
    labels = loaded.data.train.labels
    if any(outcome.images != len(labels) for outcome in outcomes.values()):  # rows of the answers are those of others
        return TrainingImages(not_judged="an image was erased while the folds were trained")
    if len(labels) * loaded.data.classes > MOST_ANSWERS:
        return TrainingImages(
            not_judged=f"{len(labels):,} images of {loaded.data.classes:,} classes would take too much memory to judge"
        )
    probabilities = np.zeros((len(labels), loaded.data.classes), np.float32)
    for number, outcome in outcomes.items():
        if outcome.out_of_fold is not None:
            logits = np.load(BytesIO(task.objects.read(outcome.out_of_fold)), allow_pickle=False)
            left_out = members(labels, Fold(number=number, of=len(outcomes)))
            probabilities[left_out] = torch.from_numpy(logits).softmax(dim=1).numpy()
    names = loaded.index.names if loaded.index else nameless
    return judged_by(probabilities, labels, np.arange(len(labels)), loaded.dataset.classes, names)


def _title(number: int, count: int) -> str:
    return f"fold {number + 1} of {count}" if number < count else "the training on all images"


def _reason(child: ChildJob) -> str:
    if child.job.error is not None:
        return f"did not succeed: {child.job.error.message}"
    return f"was {child.job.state}"
