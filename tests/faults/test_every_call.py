"""Every external call of a job fails once, in every way, and the job ends as if none had."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.artifacts import Bucket
from contract.images import ImageSpec
from contract.jobs import Job, JobKind, JobRequest, JobState, PredictRequest, PreprocessRequest, TrainRequest
from runtime import patience
from runtime.task import Handler
from services.inference.batch import predict
from services.preprocess.worker import preprocess
from services.storage.collector import Collector
from services.trainer.worker import train
from tests.attempts import uploaded
from tests.faults import behaviours
from tests.faults.injector import How
from tests.faults.world import World
from tests.onnx_models import CARD, pictures
from tests.pictures import class_folders, zipped
from tests.predicting import publish_model, publish_split

Prepare = Callable[[World, Path], JobRequest]


def preprocessing(world: World, folder: Path) -> JobRequest:
    upload = uploaded(world.stores, zipped(folder / "pets.zip", class_folders(count=5)))
    spec = {"dataset": "cats", "source": {"upload": upload}, "image": {"size": (8, 8)}}
    return PreprocessRequest.model_validate({"kind": JobKind.PREPROCESS, "spec": spec})


def training(world: World, folder: Path) -> JobRequest:
    assert world.see_through(preprocessing(world, folder), preprocess, folder).state == JobState.SUCCEEDED
    spec = {"dataset": "cats@1", "model": "net", "epochs": 2, "architecture": {"name": "mlp", "hidden": (4,)}}
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
    monkeypatch.setattr(patience, "PAUSE_S", 0.0)
    monkeypatch.setattr(behaviours, "STEP_S", 0.0)
    monkeypatch.setenv("TIDEPOOL_PART_PICTURES", "4")


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize(
    ("prepare", "handler"),
    [(preprocessing, preprocess), (training, train), (prediction, predict), (checkpoints, behaviours.behave)],
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
    Collector(world.stores.database, world.stores.objects).collect()
    return {
        "result": _timeless(job.result),
        "datasets": [dataset.versions for dataset in world.stores.datasets.list(10).items],
        "models": [model.versions for model in world.stores.models.list(10).items],
        "epochs": world.epochs(job),
        "objects": len(world.stores.objects.content),
    }


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(inner) for name, inner in value.items() if name != "seconds"}
    return [_timeless(inner) for inner in value] if isinstance(value, list | tuple) else value
