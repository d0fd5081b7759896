"""The demo's steps over REST, as a user's script would do them."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from contract.catalog import DatasetVersion, ModelVersion
from contract.jobs import Job
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from contract.references import Reference
from tidepool.demo.images import SampleImage, sample_images
from tidepool.demo.progress import ProgressDisplay
from tidepool.errors import UserFacingError
from tidepool_client import Client

SINGLES = 10
BATCH = 500
ALIAS = "production"


class Step(StrEnum):
    """The titles of the steps."""

    START = "Starting the stack"
    UPLOAD = "Uploading the archive"
    PREPROCESS = "Preprocessing"
    TRAIN = "Training, evaluating, exporting"
    ALIAS = "Setting the alias"
    SINGLES = "Predicting one by one"
    BATCH = "Predicting a batch"


@dataclass(frozen=True)
class SamplePrediction:
    """One image with its true and predicted labels, the score (0..1) and the duration of the request."""

    image: str
    label: str
    predicted: str
    score: float
    milliseconds: float


@dataclass(frozen=True)
class BatchResult:
    """The size, the correct predictions and the seconds of one multi-image prediction."""

    count: int
    correct: int
    seconds: float


@dataclass(frozen=True)
class DemoResult:
    """Everything that the demo produced."""

    dataset: DatasetVersion
    model: ModelVersion
    trained: TrainResult
    singles: tuple[SamplePrediction, ...]
    batch: BatchResult


def run_workflow(client: Client, archive: Path, *, recipe: Mapping[str, Any], display: ProgressDisplay) -> DemoResult:
    """Upload, preprocess, train with the fields of `recipe`, set the alias and predict.

    Raises UserFacingError at the first failure.
    """
    name = re.sub(r"[^a-z0-9._-]", "-", archive.stem.lower()).strip("-._")[:50] or "images"
    preprocessed = PreprocessResult.model_validate(_upload_and_preprocess(client, name, archive, display).result)
    with display.step(Step.TRAIN) as update:
        job = client.train(dataset=preprocessed.dataset, model=name, **recipe)
        job = client.jobs.wait(job.id, lambda job: update(job.progress.fraction, _activity(job)))
    trained = TrainResult.model_validate(job.result)
    version = _version(trained.model)
    with display.step(Step.ALIAS):
        client.models.set_alias(name, ALIAS, version)
    dataset = client.datasets.version(preprocessed.dataset)
    rejected = frozenset(file.file for file in dataset.rejected_files)
    images = sample_images(archive, SINGLES + BATCH, exclude=rejected)
    singles = _predict_one_by_one(client, name, images[:SINGLES], display)
    batch = _predict_batch(client, name, images[SINGLES:] or images, display)
    return DemoResult(
        dataset=dataset,
        model=client.models.version(f"{name}@{version}"),
        trained=trained,
        singles=singles,
        batch=batch,
    )


def _upload_and_preprocess(client: Client, name: str, archive: Path, display: ProgressDisplay) -> Job:
    with display.step(Step.UPLOAD) as update:
        job = client.datasets.upload(
            name, archive, on_bytes=lambda sent, size: update(sent / max(1, size), f"{sent >> 10} of {size >> 10} KiB")
        )
    with display.step(Step.PREPROCESS) as update:
        return client.jobs.wait(job.id, lambda job: update(job.progress.fraction, _activity(job)))


def _predict_one_by_one(
    client: Client, model: str, images: Sequence[SampleImage], display: ProgressDisplay
) -> tuple[SamplePrediction, ...]:
    predictions = []
    with display.step(Step.SINGLES) as update:
        for image in images:
            started = time.monotonic()
            best = client.predict(f"{model}@{ALIAS}", image.content).predictions[0]
            milliseconds = (time.monotonic() - started) * 1000
            predictions.append(SamplePrediction(image.name, image.label, best.label, best.score, milliseconds))
            update(len(predictions) / len(images), image.name)
    return tuple(predictions)


def _predict_batch(client: Client, model: str, images: Sequence[SampleImage], display: ProgressDisplay) -> BatchResult:
    with display.step(Step.BATCH):
        started = time.monotonic()
        results = client.models.predict_many(f"{model}@{ALIAS}", [image.content for image in images])
        seconds = time.monotonic() - started
    correct = 0
    for image, result in zip(images, results, strict=True):
        if not result.predictions:
            raise UserFacingError(
                f"{image.name} was not classified: {result.error.message if result.error else 'no reason given'}"
            )
        correct += result.predictions[0].label == image.label
    return BatchResult(count=len(images), correct=correct, seconds=seconds)


def _version(reference: str) -> int:
    version = Reference.parse(reference).version
    if version is None:
        raise UserFacingError(f"{reference!r} does not name a version")
    return version


def _activity(job: Job) -> str:
    return job.progress.message or str(job.state)
