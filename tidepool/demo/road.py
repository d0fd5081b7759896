"""The main job, step by step over REST, as a user's script would do it."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from contract.catalog import DatasetVersion, ModelVersion
from contract.jobs import Job
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from contract.references import Reference
from tidepool.client import Client
from tidepool.demo.images import Picture, pictures_of
from tidepool.demo.show import Show
from tidepool.errors import Trouble

SINGLES = 10
BATCH = 500
ALIAS = "production"


class Step(StrEnum):
    """The steps, as a person reads them."""

    START = "Starting the stack"
    UPLOAD = "Uploading the archive"
    PREPROCESS = "Preprocessing"
    TRAIN = "Training, evaluating, exporting"
    ALIAS = "Pointing the alias"
    SINGLES = "Predicting one by one"
    BATCH = "Predicting a batch"


@dataclass(frozen=True)
class Guess:
    """One picture, its true label, what the model took it for, how sure it was (0..1), and how long that took."""

    picture: str
    label: str
    predicted: str
    score: float
    milliseconds: float


@dataclass(frozen=True)
class Batch:
    """How many pictures of one multi-image prediction were right, and its seconds."""

    count: int
    right: int
    seconds: float


@dataclass(frozen=True)
class Journey:
    """Everything that came out of the road."""

    dataset: DatasetVersion
    model: ModelVersion
    trained: TrainResult
    guesses: tuple[Guess, ...]
    batch: Batch


def walk(client: Client, archive: Path, *, epochs: int | None, show: Show) -> Journey:
    """Upload, preprocess, train, alias, predict; raises Trouble at the first thing that does not work."""
    name = re.sub(r"[^a-z0-9._-]", "-", archive.stem.lower()).strip("-._")[:50] or "pictures"
    model = f"{name}-cnn"
    prepared = PreprocessResult.model_validate(_prepare(client, name, archive, show).result)
    recipe = {} if epochs is None else {"epochs": epochs}
    with show.step(Step.TRAIN) as update:
        job = client.train(dataset=prepared.dataset, model=model, **recipe)
        job = client.wait(job.id, lambda job: update(job.progress.fraction, _doing(job)))
    trained = TrainResult.model_validate(job.result)
    version = _version(trained.model)
    with show.step(Step.ALIAS):
        client.set_alias(model, ALIAS, version)
    dataset = client.dataset(name, _version(prepared.dataset))
    rejected = frozenset(file.file for file in dataset.rejected_files)
    pictures = pictures_of(archive, SINGLES + BATCH, but=rejected)
    guesses = _one_by_one(client, model, pictures[:SINGLES], show)
    batch = _at_once(client, model, pictures[SINGLES:] or pictures, show)
    return Journey(
        dataset=dataset,
        model=client.model(model, version),
        trained=trained,
        guesses=guesses,
        batch=batch,
    )


def _prepare(client: Client, name: str, archive: Path, show: Show) -> Job:
    with show.step(Step.UPLOAD) as update:
        job = client.upload_dataset(
            name, archive, on_bytes=lambda sent, size: update(sent / max(1, size), f"{sent >> 10} of {size >> 10} KiB")
        )
    with show.step(Step.PREPROCESS) as update:
        return client.wait(job.id, lambda job: update(job.progress.fraction, _doing(job)))


def _one_by_one(client: Client, model: str, pictures: Sequence[Picture], show: Show) -> tuple[Guess, ...]:
    guesses = []
    with show.step(Step.SINGLES) as update:
        for picture in pictures:
            started = time.monotonic()
            best = client.predict(model, picture.content, alias=ALIAS).predictions[0]
            milliseconds = (time.monotonic() - started) * 1000
            guesses.append(Guess(picture.name, picture.label, best.label, best.score, milliseconds))
            update(len(guesses) / len(pictures), picture.name)
    return tuple(guesses)


def _at_once(client: Client, model: str, pictures: Sequence[Picture], show: Show) -> Batch:
    with show.step(Step.BATCH):
        started = time.monotonic()
        results = client.predict_many(model, [picture.content for picture in pictures], alias=ALIAS)
        seconds = time.monotonic() - started
    right = 0
    for picture, result in zip(pictures, results, strict=True):
        if not result.predictions:
            raise Trouble(f"{picture.name} was not classified: {result.error.message if result.error else 'no reason'}")
        right += result.predictions[0].label == picture.label
    return Batch(count=len(pictures), right=right, seconds=seconds)


def _version(reference: str) -> int:
    version = Reference.parse(reference).version
    if version is None:
        raise Trouble(f"{reference!r} names no version")
    return version


def _doing(job: Job) -> str:
    return job.progress.message or str(job.state)
