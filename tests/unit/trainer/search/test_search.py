"""A search from its first trial to its model, on real rows and tiny images."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.datasets import Split
from contract.division import Waiting
from contract.errors import Invalid
from contract.jobs import JobKind, JobState
from contract.kinds.train import TrainSpec
from contract.kinds.trial import TrialOutcome
from contract.references import Reference
from contract.search import Fold
from services.trainer.search import folds
from services.trainer.search import search as search_module
from services.trainer.search.folds import SomeImages, without_fold
from services.trainer.search.search import search
from services.trainer.search.trial import WatchedTask
from services.trainer.worker import Loaded, load
from tests.examples import MODEL_MANIFEST
from tests.support.killed import Killed, die
from tests.support.searching import Trainers
from tests.support.training_task import MemoryTask
from worker.task import Task

OVER = {"optimizer.lr": {"low": 0.01, "high": 0.3, "log": True}, "augment.flip": [True, False]}
LOSS = {"trials": 3, "parallel": 2, "over": OVER, "objective": "val.loss", "early_stop": "none"}


@pytest.fixture
def trainers(tmp_path: Path) -> Trainers:
    return Trainers(tmp_path, auto=True)


def test_a_search_publishes_its_best_trial_with_the_study(trainers: Trainers) -> None:
    # given a search of three trials, of which two may be open, and one replica
    job = trainers.submit(search=LOSS, epochs=2)

    # when the replica works
    kinds = [claim.job.kind for claim in iter(trainers.step, None)]

    # then the model of the best trial is published once, with all trials
    job = trainers.get(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    study = job.result["study"]
    values = [trial["value"] for trial in study["trials"]]
    assert kinds == ["train", "trial"] * 3 + ["train"]
    assert [trial["state"] for trial in study["trials"]] == ["complete"] * 3
    assert study["trials"][study["best"]]["value"] == min(values)
    assert study["trials"][study["best"]]["parameters"] == study["parameters"]
    assert [trial["epochs"] for trial in study["trials"]] == [2, 2, 2]
    assert (study["ended"], study["maximize"]) == ("all have ended", False)
    _, manifest = trainers.project.models.manifest(Reference(name="net"))
    assert manifest.study is not None
    assert manifest.study.model_dump(mode="json") == study
    assert manifest.metrics is not None
    assert manifest.metrics.val is not None
    assert manifest.lineage is not None
    assert manifest.lineage.spec["optimizer"]["lr"] == study["parameters"]["optimizer.lr"]
    assert [choice.what for choice in manifest.decisions][:2] == list(OVER)
    assert trainers.project.models.named("net").versions == (1,)
    # and the trials stay listed under the job; they store no answers, because the search asks for no ensemble
    assert [child.job.parent for child in trainers.children(job)] == [job.id] * 3
    assert "validation" not in (trainers.children(job)[0].job.result or {})


def test_a_trial_that_is_lost_continues_from_its_last_epoch(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = trainers.submit(search={"trials": 1, "over": OVER})
    trainers.step()
    claim = trainers.claim()
    assert claim is not None

    # when its replica dies after the first epoch, and the lease is given back
    with monkeypatch.context() as patched:
        patched.setattr("services.trainer.search.trial.WatchedTask.save_checkpoint", _then(die))
        with pytest.raises(Killed):
            trainers.run(claim)
    trainers.stores.leases.release(claim.lease)
    again = trainers.step()

    assert again is not None
    assert again.checkpoint is not None
    (child,) = trainers.children(job)
    assert child.job.state == JobState.SUCCEEDED
    assert [epoch["epoch"] for epoch in child.metrics] == [1, 2, 3]


def test_a_trial_ends_early_if_others_are_better(trainers: Trainers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.trainer.search.trial.prunes", lambda *arguments: arguments[-1] == 3)
    job = trainers.submit(search={"trials": 1, "over": OVER})
    trainers.step()

    trainers.step()

    (child,) = trainers.children(job)
    assert child.job.result is not None
    assert (child.job.result["pruned"], len(child.job.result["epochs"])) == (True, 1)
    assert child.job.result["value"] == child.job.result["scores"]["accuracy"]


def _then(action: Any) -> Any:
    """Return a method that saves a checkpoint, and then calls an action."""
    saves = WatchedTask.save_checkpoint

    def save(self: WatchedTask, *arguments: Any) -> None:
        saves(self, *arguments)
        action()

    return save


class Waited:
    """A task of a search whose trials are rows that no replica runs."""

    def __init__(self, trainers: Trainers, **settings: Any) -> None:
        self.trainers = trainers
        self.job = trainers.submit(search={"over": OVER} | settings)
        self.stop_early = False
        claim = trainers.claim()
        assert claim is not None
        self.job, self.lease = claim.job, claim.lease

    def children(self, _: str | None = None) -> Any:
        return self.trainers.children(self.job)

    def decide(self) -> Waiting:
        """Let the search decide, and carry it out."""
        spec = TrainSpec.model_validate(self.job.spec)
        assert spec.search is not None
        waiting = search(self, spec, spec.search)  # type: ignore[arg-type]
        assert isinstance(waiting, Waiting)
        self.trainers.stores.children.wait(self.lease, waiting)
        return waiting

    def fail(self) -> None:
        """Let a trial fail, and claim the search again."""
        claim = self.trainers.stores.leases.claim(JobKind.TRIAL, "replica")
        assert claim is not None
        self.trainers.stores.leases.fail(claim.lease, Invalid("the training diverged"))
        again = self.trainers.claim()
        while again is not None and again.job.kind != JobKind.TRAIN:
            again = self.trainers.claim()
        assert again is not None
        self.lease = again.lease


def test_as_many_trials_are_open_as_the_request_says(trainers: Trainers) -> None:
    task = Waited(trainers, trials=6, parallel=4)

    assert [child.number for child in task.decide().children] == [0, 1, 2, 3]

    task.fail()
    waiting = task.decide()
    assert [child.number for child in waiting.children] == [4]
    assert (waiting.seen, waiting.message) == (1, "1 of 6 trials have ended")


def test_a_search_ends_when_all_different_settings_have_been_tried(trainers: Trainers) -> None:
    few = {"trials": 6, "parallel": 1, "over": {"augment.flip": [True, False]}}
    job = trainers.submit(search=few, epochs=1)

    trainers.run_all()

    result = trainers.get(job).result
    assert result is not None
    assert sorted(trial["parameters"]["augment.flip"] for trial in result["study"]["trials"]) == [False, True]
    assert result["study"]["ended"] == "all different settings have been tried"


def test_parameters_that_a_training_does_not_use_make_no_new_trial(trainers: Trainers) -> None:
    over = {"optimizer.name": ["adam"], "optimizer.momentum": [0.8, 0.9], "optimizer.lr": [0.01, 0.02]}
    task = Waited(trainers, trials=8, parallel=4, over=over)

    rates = [child.spec["training"]["optimizer"]["lr"] for child in task.decide().children]

    assert sorted(rates) == [0.01, 0.02]


def test_no_trial_begins_when_the_time_is_over_and_those_that_run_end(trainers: Trainers) -> None:
    task = Waited(trainers, trials=6, parallel=2, minutes=10)
    first = task.decide()
    ends = datetime.fromisoformat(first.children[0].spec["ends_at"])
    assert task.job.started_at is not None
    assert ends == task.job.started_at + timedelta(minutes=10)

    task.job = task.job.model_copy(update={"started_at": datetime.now(UTC) - timedelta(minutes=11)})
    task.fail()
    waiting = task.decide()

    assert (waiting.children, waiting.stopping) == ((), True)


def test_a_search_ends_when_its_first_trials_fail(trainers: Trainers) -> None:
    task = Waited(trainers, trials=100, parallel=2)
    for _ in range(4):
        task.decide()
        task.fail()

    with pytest.raises(Invalid, match=r"4 trials have failed and none has succeeded; trial \d: the training diverged"):
        task.decide()


def test_parameters_that_do_not_fit_together_fail_the_search_with_what_to_change() -> None:
    spec = TrainSpec(dataset="pets@1", model="net", init_from="lite0")

    with pytest.raises(Invalid, match=r"cannot have architecture.name 'cnn': architecture is for .*change search.over"):
        search_module._training(spec, {"architecture.name": "cnn"})


def test_a_trial_that_begins_too_late_is_cancelled(trainers: Trainers) -> None:
    task = Waited(trainers, trials=1, minutes=10)
    task.job = task.job.model_copy(update={"started_at": datetime.now(UTC) - timedelta(minutes=9)})
    task.decide()
    (child,) = task.children()
    late = child.job.spec | {"ends_at": datetime.now(UTC).isoformat()}
    claim = trainers.stores.leases.claim(JobKind.TRIAL, "replica")
    assert claim is not None

    trainers.run(type(claim)(claim.job.model_copy(update={"spec": late}), claim.lease))

    assert trainers.children(task.job)[0].job.state == JobState.CANCELLED


def test_a_cross_validation_measures_every_training_image_and_publishes_a_training_on_all(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an export that is tested with searches
    exported: list[TrialOutcome] = []
    monkeypatch.setattr(folds, "published", lambda *arguments: exported.append(arguments[-1]) or MODEL_MANIFEST)
    job = trainers.submit(folds=2, epochs=2)

    trainers.run_all()

    job = trainers.get(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    report = job.result["folds"]
    assert report["folds"] == len(report["accuracies"]) == 2
    assert report["accuracy"]["mean"] == pytest.approx(np.mean(report["accuracies"]))
    assert report["accuracy"]["deviation"] == pytest.approx(np.std(report["accuracies"], ddof=1))
    assert job.result["training_images"]["judged"] == 60
    assert [child.job.spec["fold"] for child in trainers.children(job)] == [
        {"number": 0, "of": 2},
        {"number": 1, "of": 2},
        None,
    ]
    assert [outcome.out_of_fold for outcome in exported] == [None]
    assert trainers.project.models.named("net").versions == (1,)


def test_an_image_that_is_erased_during_a_cross_validation_leaves_the_folds_without_label_errors(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given folds whose trainings have ended
    monkeypatch.setattr(folds, "published", lambda *_: MODEL_MANIFEST)
    job = trainers.submit(folds=2, epochs=1)
    for _ in range(4):
        trainers.step()

    # when the dataset has an image less
    def erased(*arguments: Any) -> Any:
        return without_last(load(*arguments))

    monkeypatch.setattr(folds, "load", erased)
    trainers.run_all()

    # then the model is published with the report of the folds
    job = trainers.get(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    assert job.result["folds"]["folds"] == 2
    assert job.result["training_images"]["not_judged"] == "an image was erased while the folds were trained"


def test_folds_with_too_many_answers_are_published_without_label_errors(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds, "published", lambda *_: MODEL_MANIFEST)
    monkeypatch.setattr(folds, "MOST_ANSWERS", 60 * 3 - 1)
    job = trainers.submit(folds=2, epochs=1)

    trainers.run_all()

    result = trainers.get(job).result
    assert result is not None
    assert result["training_images"]["not_judged"] == "60 images of 3 classes would take too much memory to judge"
    assert result["folds"]["folds"] == 2


@contextmanager
def without_last(opened: AbstractContextManager[Loaded]) -> Iterator[Loaded]:
    """Open a dataset without its last training image."""
    with opened as loaded:
        rest = SomeImages(loaded.data.train, np.arange(len(loaded.data.train) - 1))
        yield replace(loaded, data=replace(loaded.data, train=rest))


def test_a_fold_leaves_out_its_images_only(tmp_path: Path) -> None:
    task: Task = MemoryTask(tmp_path, auto=True)  # type: ignore[assignment]
    with load(task, TrainSpec.model_validate(task.job.spec)) as loaded:
        everything = loaded.data.train

        kept, left_out = without_fold(loaded, Fold(number=1, of=3))

        assert len(kept.data.train) + len(left_out) == len(everything) == 60
        assert np.bincount(left_out.labels).max() - np.bincount(left_out.labels).min() <= 1
        images, labels = kept.data.train.take(np.arange(len(kept.data.train)))
        assert labels.tolist() == kept.data.train.labels.tolist()
        assert kept.index is not None
        assert loaded.index is not None
        names = kept.index.names(np.arange(len(images)))
        assert set(names) < set(loaded.index.names(np.arange(60)))
        assert [name[0] for name in names] == [
            digest.hex() for digest in kept.index.hashes(Split.TRAIN, np.arange(len(names)))
        ]
