"""Trainings on several replicas for the fault tests: a small dataset, jobs, and what they reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from contract.access import DEFAULT_PROJECT
from contract.datasets import Counts, Split
from contract.images import ImageSpec
from contract.jobs import EventKind, Job, JobKind
from contract.kinds.train import TrainRequest, TrainResult
from services.storage.stores import Stores
from services.storage.tables import seats
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.faults.cluster import Cluster, Replica
from tests.faults.cut import possible
from tests.faults.driver import Driver
from tests.faults.process import RestartedProcess
from tests.support.prediction_data import stored_shards
from tests.support.publication import publish
from tests.support.training_data import separable

TRAINER = "services.trainer.main"
CAN_CUT = possible()
TRAINERS = (
    Replica("trainer-1", (TRAINER,)),
    Replica("trainer-2", ("tests.faults.cut", TRAINER) if CAN_CUT else (TRAINER,)),
)
SETTINGS = {"TIDEPOOL_TRAINERS_TIMEOUT_S": "3"}
EPOCHS = 25
NETWORK = {"layers": [{"flatten": {}}, {"dense": 16}, {"batchnorm": {}}, {"relu": {}}, {"dropout": 0.2}]}
WITHIN_S = 600.0


@dataclass(frozen=True)
class Told:
    """What the events of a training say."""

    metrics: Sequence[dict[str, Any]]
    lines: Sequence[str]

    @property
    def epochs(self) -> list[int]:
        return [row["epoch"] for row in self.metrics]

    @property
    def replicas(self) -> list[int]:
        return [row["replicas"] for row in self.metrics]

    @property
    def curve(self) -> list[tuple[float, float]]:
        """The losses, bit for bit."""
        return [(row["train_loss"], row["val_loss"]) for row in self.metrics]


def publish_images(stores: Stores, image: ImageSpec = DATASET_MANIFEST.image, count: int = 160) -> None:
    """Publish `count` images for training and 24 for validation as pets@1."""
    parts = {Split.TRAIN: count, Split.VAL: 24, Split.TEST: 12}
    classes = len(DATASET_MANIFEST.classes)
    shards = {
        split: stored_shards(stores.objects, *separable(size, classes, image.shape, seed=size), 1, split)
        for split, size in parts.items()
    }
    changes = {"image": image, "shards": shards, "counts": Counts(train=count, val=24, test=12)}
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update=changes))


def submit(driver: Driver, model: str, most: int = 2, least: int = 1, **changes: Any) -> Job:
    """Submit a training of EPOCHS epochs on up to `most` replicas."""
    spec = {
        "dataset": "pets@1",
        "model": model,
        "epochs": EPOCHS,
        "batch_size": 8,
        "seed": 7,
        "architecture": NETWORK,
        "replicas": {"min": least, "max": most},
    }
    request = TrainRequest.model_validate({"kind": JobKind.TRAIN, "spec": spec | changes})
    return driver.cluster.stores.of(DEFAULT_PROJECT).jobs.create(request)


def told(driver: Driver, job: Job) -> Told:
    events = driver.cluster.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
    metrics = [event.data for event in events if event.kind == EventKind.METRICS]
    return Told(metrics, [event.data["message"] for event in events if event.kind == EventKind.LOG])


def curve_of(job: Job) -> list[tuple[float, float | None]]:
    return [(epoch.train_loss, epoch.val_loss) for epoch in TrainResult.model_validate(job.result).epochs]


def helpers(cluster: Cluster) -> list[RestartedProcess]:
    """Return the replicas that are in a seat."""
    with cluster.stores.database.read() as connection:
        names = connection.execute(select(seats.c.worker)).scalars().all()
    pids = {int(name.rpartition(":")[2]) for name in names}
    return [worker for worker in cluster.workers if worker.pid in pids]
