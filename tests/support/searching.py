"""Searches and cross-validations in this process: real rows in memory, real trainings of tiny images."""

from pathlib import Path
from typing import Any

from contract.access import DEFAULT_PROJECT
from contract.jobs import Job, JobKind
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import Reference, UploadSource
from services.storage.database import Database
from services.storage.jobs.children import ChildJob
from services.storage.jobs.claims import Claim
from services.storage.stores import ProjectStores, Stores
from services.trainer.search.handler import train
from services.trainer.search.trial import run_trial
from tests.support.job_runs import attempt
from tests.support.training_task import MemoryTask

HANDLERS = {JobKind.TRAIN: train, JobKind.TRIAL: run_trial}


class Trainers:
    """A project with the dataset `bugs`, and the replicas that train."""

    def __init__(self, folder: Path, **dataset: Any) -> None:
        task = MemoryTask(folder, **dataset)
        self.stores = Stores(Database.in_memory(), task.objects)
        self.folder = folder
        self._attempts = 0
        spec = PreprocessSpec(dataset="bugs", source=UploadSource(upload="none"))
        self.project.jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))
        claim = self.stores.leases.claim(JobKind.PREPROCESS, "replica")
        assert claim is not None
        self.stores.leases.finish(claim.lease, task.manifest(Reference(name="bugs"))[1])

    @property
    def project(self) -> ProjectStores:
        return self.stores.of(DEFAULT_PROJECT)

    def submit(self, **spec: Any) -> Job:
        """Submit a training of three epochs of the small CNN in small batches, unless the spec says otherwise."""
        fixed = {"dataset": "bugs@1", "model": "net", "architecture": {"name": "cnn"}, "epochs": 3, "batch_size": 16}
        training = TrainSpec.model_validate(fixed | spec)
        return self.project.jobs.create(TrainRequest(kind=JobKind.TRAIN, spec=training))

    def claim(self) -> Claim | None:
        return self.stores.leases.claim(HANDLERS.keys(), "replica")

    def run(self, claim: Claim) -> None:
        """Run an attempt in this process."""
        self._attempts += 1
        folder = self.folder / f"attempt-{self._attempts}"
        folder.mkdir()
        attempt(self.stores, claim, HANDLERS[claim.job.kind], folder)

    def step(self) -> Claim | None:
        """Run the next attempt, if there is one."""
        claim = self.claim()
        if claim is not None:
            self.run(claim)
        return claim

    def run_all(self) -> None:
        while self.step() is not None:
            pass

    def get(self, job: Job) -> Job:
        return self.project.jobs.get(job.id)

    def children(self, job: Job) -> tuple[ChildJob, ...]:
        return self.stores.children.of(job.id)
