"""Each external call of a job fails once, in every way; the job has the same result as without failure."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.kinds.predict import PredictRequest
from contract.kinds.preprocess import PreprocessRequest
from contract.kinds.revise import ReviseRequest
from contract.kinds.train import TrainRequest
from services.inference.batch.predict import predict
from services.preprocess.erasing import erase
from services.preprocess.revising import revise
from services.preprocess.worker import preprocess
from services.storage.sweep.collector import Collector
from services.trainer import variants, worker
from services.trainer.export import export
from services.trainer.worker import train
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.faults import behaviours
from tests.faults.injector import How
from tests.faults.world import World
from tests.support.exports import CachedExport, CachedRuntime, CachedVariants
from tests.support.images import class_folders, zipped
from tests.support.job_runs import uploaded
from tests.support.onnx_models import random_images
from tests.support.prediction_data import publish_model, publish_split, stored_shards
from tests.support.publication import publish
from tests.support.training_data import separable
from worker import retries
from worker.task import Handler

Prepare = Callable[[World, Path], JobRequest]


def preprocessing(world: World, folder: Path) -> JobRequest:
    upload = uploaded(world.stores, zipped(folder / "pets.zip", class_folders(count=3)))
    spec = {"dataset": "cats", "source": {"upload": upload}, "image": {"size": (8, 8)}}
    return PreprocessRequest.model_validate({"kind": JobKind.PREPROCESS, "spec": spec})


def training(world: World, folder: Path) -> JobRequest:
    images, labels = separable(8, classes=2, shape=DATASET_MANIFEST.image.shape)
    shards = {Split.TRAIN: stored_shards(world.stores.objects, images, labels, 1), Split.VAL: (), Split.TEST: ()}
    publish(world.stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update={"shards": shards}))
    spec = {"dataset": "pets@1", "model": "net", "epochs": 2, "architecture": {"name": "mlp", "hidden": (4,)}}
    return TrainRequest.model_validate({"kind": JobKind.TRAIN, "spec": spec})


def prediction(world: World, folder: Path) -> JobRequest:
    publish_model(world.stores)
    publish_split(world.stores, random_images(8), np.arange(8) % 3)
    spec = {"model": "pet-cnn@1", "input": {"dataset": "pets@1", "split": "test"}}
    return PredictRequest.model_validate({"kind": JobKind.PREDICT, "spec": spec})


def erasing(world: World, folder: Path) -> JobRequest:
    """An image that is in a version and in its archive."""
    world.run(preprocessing(world, folder), preprocess, folder)
    sha256 = hashlib.sha256(class_folders(count=3)["cat/001.png"]).hexdigest()
    return EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256))


def revising(world: World, folder: Path) -> JobRequest:
    """An image to relabel to a new class, and one to remove."""
    world.run(preprocessing(world, folder), preprocess, folder)
    first, second = (hashlib.sha256(class_folders(count=3)[f"cat/00{number}.png"]).hexdigest() for number in (0, 1))
    changes = [{"sha256": first, "label": "ant"}, {"sha256": second, "remove": True}]
    spec = {"dataset": "cats", "parent": "cats@1", "changes": changes, "test_split": "open"}
    return ReviseRequest.model_validate({"kind": JobKind.REVISE, "spec": spec})


def checkpoints(world: World, folder: Path) -> JobRequest:
    spec = {"dataset": "resumes", "source": {"upload": "none"}}
    return PreprocessRequest.model_validate({"kind": JobKind.PREPROCESS, "spec": spec})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.0)
    monkeypatch.setattr(behaviours, "STEP_S", 0.0)
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "4")


@pytest.fixture(autouse=True, scope="module")
def _models_are_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "export", CachedExport(export))
        patch.setattr(worker, "Runtime", CachedRuntime)
        patch.setattr(variants, "_run", CachedVariants(variants._run))
        yield


@pytest.mark.parametrize(
    ("prepare", "handler", "how"),
    [
        *((preprocessing, preprocess, how) for how in How),
        *((erasing, erase, how) for how in How),
        *((revising, revise, how) for how in (How.REPLY_LOST, How.DIED)),
        *((training, train, how) for how in (How.REPLY_LOST, How.DIED)),
        *((prediction, predict, how) for how in How),
        *((checkpoints, behaviours.behave, how) for how in How),
    ],
)
def test_a_job_survives_the_failure_of_any_call(prepare: Prepare, handler: Handler, how: How, tmp_path: Path) -> None:
    # given the result when nothing fails
    healthy = World.fresh()
    expected = _state(healthy, healthy.run(prepare(healthy, tmp_path), handler, tmp_path))

    number = 0
    while True:
        # when call `number` fails
        number += 1
        world = World.fresh()
        request = prepare(world, tmp_path)
        world.injector.count, world.injector.number, world.injector.how = 0, number, how
        job = world.run(request, handler, tmp_path)

        # then the result is the same, published once, without leftovers
        assert _state(world, job) == expected, f"call {number}"
        if world.injector.count < number:
            break
    assert number > 5


def _state(world: World, job: Job) -> dict[str, Any]:
    """Return everything that a job produced, without what differs between any two runs."""
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    objects = world.stores.objects
    Collector(world.stores.database, objects, timedelta()).collect()
    folders = [f"{folder}attempts/" for folder in objects.prefixes(Bucket.JOBS)]
    return {
        "result": _without_measurements(job.result),
        "datasets": [dataset.versions for dataset in world.stores.of(DEFAULT_PROJECT).datasets.list(10).items],
        "erased": [index.sha256 for index in world.stores.of(DEFAULT_PROJECT).holdings.versions().values() if index],
        "models": [model.versions for model in world.stores.of(DEFAULT_PROJECT).models.list(10).items],
        "epochs": world.epochs(job),
        "attempts": sum(len(objects.prefixes(Bucket.JOBS, folder)) for folder in folders),
    }


def _without_measurements(value: Any) -> Any:
    """Leave out durations, and the variant that serves, which is chosen by its measured speed."""
    if isinstance(value, dict):
        return {name: _without_measurements(inner) for name, inner in value.items() if name != "seconds"}
    if isinstance(value, list | tuple):
        return [_without_measurements(inner) for inner in value if not _is_serving(inner)]
    return value


def _is_serving(value: Any) -> bool:
    return isinstance(value, dict) and value.get("what") == "serving"
