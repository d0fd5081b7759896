"""Compares two runs of one training, one of which is killed after an epoch and resumes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

from contract.access import DEFAULT_PROJECT
from contract.jobs import EventKind, Job
from contract.kinds.train import TrainResult
from tests.faults.driver import Driver, ended
from tests.faults.nemesis import age_leases
from tests.faults.process import signal_all
from tests.support.images import class_folders, zipped

EPOCHS = 6
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Comparison:
    """An uninterrupted training and a killed one; `reported` are the epochs in the events of the latter."""

    uninterrupted: TrainResult
    killed: TrainResult
    attempts: int
    reported: tuple[int, ...]

    @property
    def same(self) -> bool:
        """Whether the models are byte-for-byte identical."""
        return self.uninterrupted.onnx.sha256 == self.killed.onnx.sha256

    def __str__(self) -> str:
        same = "identical" if self.same else "NOT identical"
        return f"training killed once, {self.attempts} attempts, epochs reported {self.reported}: {same} ONNX"


def compare(driver: Driver) -> Comparison:
    """Prepare a dataset and train on it twice, on a cluster of the real services."""
    uninterrupted = driver.until(_train(driver, "uninterrupted", prepared(driver)), ended, TIMEOUT_S)
    killed = _train(driver, "killed", "pets@1")
    driver.wait(lambda: _reported(driver, killed), TIMEOUT_S)
    signal_all(driver.holder(killed).attempts(), SIGKILL)
    driver.wait(lambda: driver.job(killed).error is not None)
    age_leases(driver.cluster, living=False)
    killed = driver.until(killed, ended, TIMEOUT_S)
    return Comparison(
        uninterrupted=TrainResult.model_validate(uninterrupted.result),
        killed=TrainResult.model_validate(killed.result),
        attempts=killed.attempt,
        reported=_reported(driver, killed),
    )


def prepared(driver: Driver) -> str:
    """Prepare a small dataset; return its reference."""
    with tempfile.TemporaryDirectory() as folder:
        archive = zipped(Path(folder) / "pets.zip", class_folders(count=100))
        files = {"archive": ("pets.zip", archive.read_bytes())}
        spec = '{"image": {"size": [16, 16]}}'
        job = driver.post("/v1/datasets/pets/versions", files=files, data={"spec": spec})
    result = driver.until(job, ended, TIMEOUT_S).result
    assert result is not None
    return str(result["dataset"])


def _train(driver: Driver, model: str, dataset: str) -> Job:
    spec: dict[str, Any] = {"dataset": dataset, "model": model, "epochs": EPOCHS, "batch_size": 8, "seed": 7}
    return driver.post("/v1/jobs", json={"kind": "train", "spec": spec})


def _reported(driver: Driver, job: Job) -> tuple[int, ...]:
    events = driver.cluster.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
    return tuple(event.data["epoch"] for event in events if event.kind == EventKind.METRICS)
