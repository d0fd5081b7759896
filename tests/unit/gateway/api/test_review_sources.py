"""/v1/reviews/sources"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.evaluation import LabelError, TrainingImages
from contract.kinds.evaluate import EvaluateRequest, EvaluationOutput
from contract.kinds.predict import PredictionOutput, PredictRequest
from contract.reviews import ReviewItem
from services.storage.memory_objects import MemoryObjects
from services.storage.people.queue import ANY
from services.storage.stores import Stores
from tests.examples import EVALUATION_REPORT, MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.erasures import Erasures, archived, collect, sha256_of, upload
from tests.support.images import png
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

TWICE = png(9)
FILES = {
    "train/cat/1.png": png(1),
    "train/dog/2.png": png(2),
    "train/cat/3.png": TWICE,
    "train/dog/3.png": TWICE,
    "test/cat/4.png": png(4),
    "test/dog/5.png": png(5),
}


@pytest.fixture(autouse=True)
def pets(stores: Stores, tmp_path: Path) -> Erasures:
    """pets@1 with FILES."""
    erasures = Erasures(stores, tmp_path)
    erasures.prepare(FILES)
    return erasures


def label_error(number: int, margin: float) -> LabelError:
    return LabelError(
        image=number,
        sha256=sha256_of(png(number)),
        label="cat",
        predicted="dog",
        score=0.5 - margin / 2,
        label_score=0.5 + margin / 2,
        suggested="dog",
        margin=margin,
    )


def evaluated(stores: Stores, rows: list[dict[str, Any]], errors: tuple[LabelError, ...], count: int) -> str:
    """Publish an evaluation of pet-cnn@1; return its job."""
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    spec = {"model": "pet-cnn@1", "dataset": "pets@1", "split": "train"}
    request = EvaluateRequest.model_validate({"kind": "evaluate", "spec": spec})
    output = stores.objects.put(Bucket.JOBS, "e/attempts/1/out", "\n".join(map(json.dumps, rows)).encode())
    report = EVALUATION_REPORT.model_copy(
        update={"dataset": "pets@1", "split": Split.TRAIN, "label_errors": errors, "label_error_count": count}
    )
    return publish(stores, request, EvaluationOutput(artifact=output, report=report)).id


def predicted(stores: Stores, source: dict[str, str], files: dict[str, float]) -> str:
    """Publish a batch prediction that says dog with these scores; return its job."""
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    rows = [
        {
            "image": name,
            "sha256": sha256_of(FILES[name]),
            "predictions": [{"label": "dog", "score": score}, {"label": "cat", "score": 1 - score}],
        }
        for name, score in files.items()
    ]
    spec = {"model": "pet-cnn@1", "input": source, "top_k": 2}
    output = stores.objects.put(Bucket.JOBS, "p/attempts/1/out", "\n".join(map(json.dumps, rows)).encode())
    outcome = PredictionOutput(artifact=output, count=len(rows), failed=0, metrics=None)
    return publish(stores, PredictRequest.model_validate({"kind": "predict", "spec": spec}), outcome).id


async def add(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/reviews/sources", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def items_of(stores: Stores) -> list[ReviewItem]:
    """The items of the queue, the first one to be handed out first."""
    items = stores.of(DEFAULT_PROJECT).reviews.list(ANY, 100).items
    return sorted(items, key=lambda item: -item.priority)


async def test_label_errors_of_an_evaluation(client: httpx.AsyncClient, stores: Stores) -> None:
    job = evaluated(stores, [], (label_error(1, -0.25), label_error(2, -0.75)), 2)

    result = await add(client, source="label_errors", evaluation=job, votes=2)

    assert result == {"matching": 2, "added": 2, "dataset": "pets@1"}
    worst, other = items_of(stores)
    assert (worst.sha256, other.sha256) == (sha256_of(png(2)), sha256_of(png(1)))
    assert (worst.dataset, worst.split, worst.label_now, worst.model, worst.votes) == (
        "pets@1",
        "train",
        "cat",
        "pet-cnn",
        2,
    )
    assert worst.guess == (("dog", 0.875), ("cat", 0.125))
    # and a repetition adds nothing
    assert (await add(client, source="label_errors", evaluation=job, limit=1))["added"] == 0


async def test_a_repetition_brings_the_next_images_if_there_are_more_than_the_limit(
    client: httpx.AsyncClient, stores: Stores, pets: Erasures
) -> None:
    pets.prepare(FILES | {"train/cat/6.png": png(6), "train/dog/6.png": png(6)})
    errors = evaluated(stores, [], (label_error(1, -0.25), label_error(2, -0.75)), 2)
    scores = {"test/cat/4.png": 0.55, "test/dog/5.png": 0.52}
    doubtful = predicted(stores, {"dataset": "pets@2", "split": "test"}, scores)

    for body in (
        {"source": "label_errors", "evaluation": errors},
        {"source": "predictions", "job": doubtful},
        {"source": "duplicates", "dataset": "pets@2"},
    ):
        results = [await add(client, **body, limit=1) for _ in range(3)]

        assert [(result["matching"], result["added"]) for result in results] == [(2, 1), (2, 1), (2, 0)]
    assert len({(item.source, item.sha256) for item in items_of(stores)}) == 6


async def test_label_errors_beyond_those_in_the_report_are_those_of_the_output(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    rows: list[dict[str, Any]] = [
        {"image": number, "path": "a", "sha256": sha256_of(png(number)), "label": "cat", "predicted": "dog"}
        | {"score": score, "label_score": 1 - score, "suggested": "dog"}
        for number, score in ((1, 0.75), (2, 0.875))
    ]
    rows.append({"image": 3, "sha256": sha256_of(png(3)), "label": "cat", "predicted": "cat", "score": 1.0})
    job = evaluated(stores, rows, (label_error(2, -0.75),), 2)

    assert (await add(client, source="label_errors", evaluation=job))["matching"] == 2

    assert [(item.sha256, item.margin) for item in items_of(stores)] == [
        (sha256_of(png(2)), -0.75),
        (sha256_of(png(1)), -0.5),
    ]


async def test_label_errors_of_the_newest_training(client: httpx.AsyncClient, stores: Stores) -> None:
    noticed = TrainingImages(judged=4, accuracy=0.5, label_errors=(label_error(1, -0.5),), label_error_count=1)
    for training_images in (noticed, TrainingImages()):  # the newest has not looked
        manifest = MODEL_MANIFEST.model_copy(update={"training_images": training_images, "dataset": "pets@1"})
        publish(stores, TRAIN_REQUEST, manifest)

    assert await add(client, source="label_errors", dataset="pets") == {"matching": 1, "added": 1, "dataset": "pets@1"}

    (item,) = items_of(stores)
    assert (item.model, item.model_version, item.split) == ("pet-cnn", 1, "train")


async def test_doubtful_images_of_a_split(client: httpx.AsyncClient, stores: Stores) -> None:
    scores = {"test/cat/4.png": 0.55, "test/dog/5.png": 0.52, "train/cat/1.png": 0.9}
    job = predicted(stores, {"dataset": "pets@1", "split": "test"}, scores)

    assert (await add(client, source="predictions", job=job, below=0.6))["added"] == 2

    worst, _ = items_of(stores)
    assert (worst.sha256, worst.dataset, worst.split) == (sha256_of(png(5)), "pets@1", "test")
    assert worst.guess == (("dog", 0.52), ("cat", 0.48))


async def test_doubtful_images_of_an_archive_are_copied(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, tmp_path: Path
) -> None:
    archive = upload(stores, archived(tmp_path, FILES))
    job = predicted(stores, {"upload": archive}, {"test/cat/4.png": 0.55, "test/dog/5.png": 0.52})

    assert (await add(client, source="predictions", job=job, limit=1)) == {"matching": 2, "added": 1, "dataset": None}
    assert (await add(client, source="predictions", job=job))["added"] == 1  # the other one

    collect(stores)
    worst, _ = items_of(stores)
    assert worst.expires_at is not None
    image = await client.get(f"/v1/reviews/{worst.id}/image")
    assert (image.status_code, image.content) == (200, png(5))
    assert len(objects.entries(Bucket.UPLOADS, f"{DEFAULT_PROJECT}/reviews/")) == 2


async def test_images_with_several_labels(client: httpx.AsyncClient, stores: Stores) -> None:
    assert await add(client, source="duplicates", dataset="pets") == {"matching": 1, "added": 1, "dataset": "pets@1"}

    (item,) = items_of(stores)
    assert (item.sha256, item.label_now, item.guess) == (sha256_of(TWICE), "cat", (("cat", 0.5), ("dog", 0.5)))


async def test_what_cannot_be_a_source_is_refused(client: httpx.AsyncClient, stores: Stores) -> None:
    job = evaluated(stores, [], (), 0)

    async def refused(status: int, code: str, **body: Any) -> str:
        return problem(await client.post("/v1/reviews/sources", json=body), status, code).detail

    assert "one of the kind predict" in await refused(422, "invalid", source="predictions", job=job)
    assert "no such job" in await refused(404, "not_found", source="label_errors", evaluation="unknown")
    assert "evaluate a model on it" in await refused(404, "not_found", source="label_errors", dataset="pets")
    assert "either" in await refused(422, "invalid", source="label_errors")
    waiting = stores.of(DEFAULT_PROJECT).jobs.create(
        PredictRequest.model_validate(
            {"kind": "predict", "spec": {"model": "pet-cnn@1", "input": {"dataset": "pets@1"}}}
        )
    )
    assert "queued" in await refused(409, "conflict", source="predictions", job=waiting.id)


async def test_a_repetition_with_the_same_key_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    body = {"source": "duplicates", "dataset": "pets"}

    answers = [
        (await client.post("/v1/reviews/sources", json=body, headers={"Idempotency-Key": "one"})).json()
        for _ in range(2)
    ]

    assert [answer["added"] for answer in answers] == [1, 1]
