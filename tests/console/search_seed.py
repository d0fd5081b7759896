"""Fills a site with a search that has ended: eight trials, two of which ended early."""

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import update

from contract.artifacts import Bucket
from contract.jobs import Job, JobKind
from contract.kinds.train import TrainSpec
from contract.search import Study, StudyTrial
from services.storage import tables
from tests.console.models_seed import trained
from tests.console.site import Site
from tests.examples import TRIAL_OUTCOME
from tests.support.trials import training_with_trials

SEARCH = {
    "trials": 8,
    "ensemble": 3,
    "over": {"optimizer.lr": {"low": 0.02, "high": 1.0, "log": True}, "augment.erase": [0.0, 0.25]},
}
EPOCHS = 9


class Tried(NamedTuple):
    """What a trial had, and how it ended."""

    lr: float
    erase: float
    accuracy: float
    epochs: int
    seconds: float

    @property
    def pruned(self) -> bool:
        return self.epochs < EPOCHS


TRIED = (
    Tried(0.31, 0.0, 0.842, 9, 64.0),
    Tried(0.022, 0.25, 0.771, 9, 66.2),
    Tried(0.94, 0.0, 0.412, 1, 9.1),
    Tried(0.12, 0.25, 0.867, 9, 65.8),
    Tried(0.18, 0.25, 0.881, 9, 63.9),
    Tried(0.71, 0.25, 0.703, 3, 23.4),
    Tried(0.15, 0.25, 0.876, 9, 64.6),
    Tried(0.21, 0.0, 0.858, 9, 64.1),
)
BEST, MEMBERS = 4, (4, 6, 3)


def add_search(site: Site, classes: tuple[str, ...]) -> None:
    """Search for a model of clothes; its training is then the newest that has succeeded."""
    described = {"dataset": "clothing@2", "model": "clothes-searched", "epochs": EPOCHS, "search": SEARCH}
    parameters = [{"optimizer.lr": trial.lr, "augment.erase": trial.erase} for trial in TRIED]
    trials = [{"parameters": values} for values in parameters]
    job = training_with_trials(site.stores, TrainSpec.model_validate(described), trials)
    for trial in TRIED:
        _run(site, trial)
    claim = site.stores.leases.claim(JobKind.TRAIN, "trainer-1")
    assert claim is not None
    study = Study(
        objective="val.accuracy",
        maximize=True,
        best=BEST,
        members=MEMBERS,
        parameters=parameters[BEST],
        trials=tuple(
            StudyTrial(
                number=number,
                job=child.job.id,
                state="pruned" if trial.pruned else "complete",
                parameters=parameters[number],
                value=trial.accuracy,
                epochs=trial.epochs,
                seconds=trial.seconds,
            )
            for number, (trial, child) in enumerate(zip(TRIED, site.stores.children.of(job.id), strict=True))
        ),
        importance={"optimizer.lr": 0.83, "augment.erase": 0.17},
        ended="all have ended",
    )
    manifest = trained(classes, TRIED[BEST].accuracy, 3, dataset="clothing@2", study=study)
    _lengthen(site, site.stores.leases.finish(claim.lease, manifest), sum(trial.seconds for trial in TRIED))


def _run(site: Site, trial: Tried) -> None:
    """Run the next trial of the search."""
    claim = site.stores.leases.claim(JobKind.TRIAL, "trainer-1")
    assert claim is not None
    for epoch in range(1, trial.epochs + 1):
        artifact = site.objects.put(Bucket.JOBS, f"{claim.job.id}-{epoch}", b"1")
        site.stores.leases.save_checkpoint(claim.lease, artifact, {"epoch": epoch, "val_accuracy": trial.accuracy})
    outcome = TRIAL_OUTCOME.model_copy(update={"value": trial.accuracy, "pruned": trial.pruned})
    _lengthen(site, site.stores.leases.finish(claim.lease, outcome), trial.seconds)


def _lengthen(site: Site, job: Job, seconds: float) -> None:
    """Let a job that has ended have taken this long."""
    assert job.finished_at is not None
    begun = job.finished_at - timedelta(seconds=seconds)
    with site.stores.database.write() as connection:
        values = {"created_at": begun, "started_at": begun}
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == job.id).values(values))
