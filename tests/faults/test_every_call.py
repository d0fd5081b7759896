"""Every external call of a job fails once, in every way, and the job ends as if none had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.jobs import Job, JobKind, JobRequest, JobState, PredictRequest, PreprocessRequest, TrainRequest
from contract.models import ModelCard
from services.inference.batch import predict
from services.preprocess.worker import preprocess
from services.storage.sweep.collector import Collector
from services.trainer import worker
from services.trainer.export import export
from services.trainer.worker import train
from tests.attempts import uploaded
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.faults import behaviours
from tests.faults.injector import How
from tests.faults.world import World
from tests.onnx_models import pictures
from tests.pictures import class_folders, zipped
from tests.predicting import publish_model, publish_split, stored_shards
from tests.published import publish
from tests.training_data import separable
from worker import retries
from worker.task import Handler

Prepare = Callable[[World, Path], JobRequest]


def preprocessing(world: World, folder: Path) -> JobRequest:
    upload = uploaded(world.stores, zipped(folder / "pets.zip", class_folders(count=5)))
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
    publish_split(world.stores, pictures(8), np.arange(8) % 3)
    spec = {"model": "pet-cnn@1", "input": {"dataset": "pets@1", "split": "test"}}
    return PredictRequest.model_validate({"kind": JobKind.PREDICT, "spec": spec})


def checkpoints(world: World, folder: Path) -> JobRequest:
    spec = {"dataset": "resumes", "source": {"upload": "none"}}
    return PreprocessRequest.model_validate({"kind": JobKind.PREPROCESS, "spec": spec})


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.0)
    monkeypatch.setattr(behaviours, "STEP_S", 0.0)
    monkeypatch.setenv("TIDEPOOL_PART_PICTURES", "4")


@pytest.fixture(autouse=True)
def _each_network_is_exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export calls nothing outside, takes long, and comes to the same for the same weights."""
    known: dict[tuple[bytes, ModelCard], bytes] = {}

    def remembering(model: nn.Module, card: ModelCard, path: Path) -> None:
        weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
        if (weights, card) not in known:
            export(model, card, path)
            known[weights, card] = path.read_bytes()
        path.write_bytes(known[weights, card])

    monkeypatch.setattr(worker, "export", remembering)


@pytest.mark.parametrize(
    ("prepare", "handler", "how"),
    [
        *((preprocessing, preprocess, how) for how in How),
        *((training, train, how) for how in (How.REPLY_LOST, How.DIED)),
        *((prediction, predict, how) for how in How),
        *((checkpoints, behaviours.behave, how) for how in How),
    ],
)
def test_a_job_lives_through_the_failure_of_any_call(
    prepare: Prepare, handler: Handler, how: How, tmp_path: Path
) -> None:
    # given what the job comes to when nothing fails
    calm = World.fresh()
    wanted = _seen(calm, calm.see_through(prepare(calm, tmp_path), handler, tmp_path))

    number = 0
    while True:
        # when a call fails, the first, the second, and so on until there is none of that number
        number += 1
        world = World.fresh()
        request = prepare(world, tmp_path)
        world.injector.count, world.injector.number, world.injector.how = 0, number, how
        job = world.see_through(request, handler, tmp_path)

        # then it comes to the same, is published once, and nothing else is left
        assert _seen(world, job) == wanted, f"call {number}"
        if world.injector.count < number:
            break
    assert number > 5


def _seen(world: World, job: Job) -> dict[str, Any]:
    """All that a job came to, without what differs between two runs that nothing happened to."""
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    objects = world.stores.objects
    Collector(world.stores.database, objects).collect()
    folders = [f"{folder}attempts/" for folder in objects.prefixes(Bucket.JOBS)]
    return {
        "result": _timeless(job.result),
        "datasets": [dataset.versions for dataset in world.stores.of(DEFAULT_PROJECT).datasets.list(10).items],
        "models": [model.versions for model in world.stores.of(DEFAULT_PROJECT).models.list(10).items],
        "epochs": world.epochs(job),
        "attempts": sum(len(objects.prefixes(Bucket.JOBS, folder)) for folder in folders),
    }


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name != "seconds"}
    return [_timeless(inner) for inner in value] if isinstance(value, list | tuple) else value
