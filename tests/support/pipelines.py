"""A project with a champion, reviewed images and a pipeline, whose jobs a test ends."""

import itertools
from typing import Any

from contract.access import DEFAULT_PROJECT
from contract.datasets import DatasetManifest, Revision, Split
from contract.division import Outcome
from contract.evaluation import EvaluationReport
from contract.jobs import Job
from contract.kinds.evaluate import EvaluationOutput
from contract.kinds.revise import RevisedDataset
from contract.pipelines import PipelineRequest, PipelineRun
from contract.reviews import NewReview, ReviewAnswer
from services.storage.access.audit import Actor
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.people.rows import Reviewer
from services.storage.stores import ProjectStores, Stores
from services.storage.sweep.pipeline_signals import Signals
from services.storage.sweep.pipelines import PipelineRunner
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, ROWS_FILE, SHARD, TRAIN_REQUEST
from tests.support.clock import FakeClock
from tests.support.comparisons import BETTER, Counts, report
from tests.support.publication import publish

ANN = Reviewer("0123abcd", "ann")
PETS = DATASET_MANIFEST.model_copy(
    update={"shards": {Split.TRAIN: (SHARD,), Split.VAL: (), Split.TEST: (SHARD,)}, "index": ROWS_FILE}
)
CATS = MODEL_MANIFEST.model_copy(update={"state": ROWS_FILE})
REQUEST = PipelineRequest(name="nightly", model="pet-cnn", dataset="pets")

numbers = itertools.count(1)


class Weather(Signals):
    """The signals, with drift when a test says so."""

    drift = False

    def drifts(self, project: str, pipeline: PipelineRequest) -> bool:
        return self.drift


class PipelineWorld:
    """`pet-cnn@1` was trained on `pets@1` and is in production."""

    def __init__(self, database: Database, request: PipelineRequest = REQUEST) -> None:
        self.database = database
        self.all_stores = Stores(database, MemoryObjects())
        self.signals = Weather(database)
        self.runner = PipelineRunner(database, self.signals)
        publish(self.all_stores, PREPROCESS_REQUEST, PETS)
        publish(self.all_stores, TRAIN_REQUEST, CATS)
        self.stores.models.set_alias("pet-cnn", "production", 1)
        self.stores.pipelines.create(request)

    @property
    def stores(self) -> ProjectStores:
        return self.all_stores.of(DEFAULT_PROJECT, actor=Actor(*ANN, "", DEFAULT_PROJECT))

    @property
    def run(self) -> PipelineRun:
        """The newest run."""
        run = self.stores.pipelines.get("nightly").last_run
        assert run is not None
        return run

    def jobs(self) -> list[Job]:
        """The jobs of the pipeline, oldest first."""
        return [job for job in reversed(self.stores.jobs.list(JobFilter(), 200).items) if job.pipeline == "nightly"]

    def kinds(self) -> list[str]:
        return [str(job.kind) for job in self.jobs()]

    @property
    def production(self) -> dict[int, int]:
        (alias,) = self.stores.models.named("pet-cnn").aliases
        return alias.versions

    def review(self, count: int, split: Split | None = None) -> None:
        """Let a person label images of `pets@1`."""
        images = [f"{next(numbers):064x}" for _ in range(count)]
        self.stores.reviews.add(
            [NewReview(source="label_errors", dataset="pets@1", sha256=sha, split=split) for sha in images]
        )
        while leased := self.stores.reviews.batch(ANN, 50).items:
            for item in leased:
                self.stores.reviews.answer(item.id, item.lease, ANN, ReviewAnswer(label="dog"))

    def begin(self) -> None:
        """Start a run, and take its first step."""
        self.stores.pipelines.start("nightly")
        self.runner.advance()

    def finish(self, kind: str, outcome: Outcome) -> Job:
        """End the one job of this kind that waits."""
        claim = self.all_stores.leases.claim(kind, "worker")
        assert claim is not None
        return self.all_stores.leases.finish(claim.lease, outcome)

    def revise(self) -> Job:
        """Publish the next version of `pets`, with all reviewed images."""
        answered = {item.id: item.label for item in self.stores.reviews.answered()}
        return self.finish("revise", RevisedDataset(manifest=revised(len(answered)), reviews=answered))

    def train(self) -> Job:
        assert self.run.dataset is not None
        return self.finish("train", CATS.model_copy(update={"dataset": self.run.dataset}))

    def evaluate(self, counts: Counts = BETTER) -> Job:
        return self.finish("evaluate", EvaluationOutput(artifact=ROWS_FILE, report=self.report(counts)))

    def report(self, counts: Counts) -> EvaluationReport:
        return report(counts, str(self.run.candidate), str(self.run.champion))

    def run_through(self, counts: Counts = BETTER) -> PipelineRun:
        """Run the pipeline after some reviews, with this evaluation at the end."""
        self.review(3)
        self.begin()
        for step in (self.revise, self.train):
            step()
            self.runner.advance()
        self.evaluate(counts)
        self.runner.advance()
        return self.run


def revised(count: int) -> DatasetManifest:
    revision = Revision(parent="pets@1", relabelled=count, added=0, removed=0)
    return PETS.model_copy(update={"revision": revision})


def with_pipeline(clock: FakeClock, **changes: Any) -> PipelineWorld:
    """A world in memory whose pipeline has these fields."""
    return PipelineWorld(Database.in_memory(clock), PipelineRequest(**{**dict(REQUEST), **changes}))
