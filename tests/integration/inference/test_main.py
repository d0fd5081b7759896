"""One inference replica runs a prediction job in parts and answers online requests at the same time."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.inference import Artifact, EncodedImage, Scores, Target
from contract.jobs import JobKind
from contract.kinds.predict import PredictRequest, PredictResult, PredictSpec, SplitInput
from contract.references import Reference
from services.inference.batch.rows import read_lines
from tests.support.batcher import batcher
from tests.support.images import encoded
from tests.support.onnx_models import CARD, random_images
from tests.support.prediction_data import fetch, publish_model, publish_split
from tests.support.replicas import Replicas

IMAGES = random_images(24)


@pytest.fixture
def replicas(replicas: Replicas) -> Replicas:
    publish_model(replicas.stores)
    publish_split(replicas.stores, IMAGES, np.arange(24) % 3)
    return replicas


async def answered(replicas: Replicas, times: int) -> list[Scores]:
    """Return the scores of the split's first image, from consecutive requests."""
    _, model = replicas.stores.of(DEFAULT_PROJECT).models.manifest(Reference.parse("pet-cnn@1"))
    target = Target("pet-cnn", 1, Artifact(**model.artifact.model_dump(mode="json")))
    image = EncodedImage(encoded(IMAGES[0].transpose(1, 2, 0)))
    async with batcher("inference", replicas.settings.url.get_secret_value()) as client:
        answers = [(await client.ask(target, image, 60)).answer for _ in range(times)]
    return [answer for answer in answers if isinstance(answer, Scores)]


def test_a_replica_answers_requests_while_it_runs_a_job(replicas: Replicas, tmp_path: Path) -> None:
    # given a job of six parts
    stores = replicas.stores
    spec = PredictSpec(model="pet-cnn@1", input=SplitInput(dataset="pets@1"))
    job = stores.of(DEFAULT_PROJECT).jobs.create(PredictRequest(kind=JobKind.PREDICT, spec=spec))

    # when the only replica gets requests while it runs the job
    replicas.start("inference", TIDEPOOL_PART_IMAGES="4")
    answers = asyncio.run(answered(replicas, times=20))

    # then both give the same scores
    replicas.until(lambda: stores.of(DEFAULT_PROJECT).jobs.get(job.id).state.terminal)
    result = PredictResult.model_validate(stores.of(DEFAULT_PROJECT).jobs.get(job.id).result)
    assert (result.count, result.failed) == (24, 0)
    assert result.metrics is not None
    rows = list(read_lines(fetch(stores.objects, stores.of(DEFAULT_PROJECT).jobs.output(job.id), tmp_path / "output")))
    assert [row.image for row in rows] == list(range(24))
    (best,) = rows[0].predictions or ()
    assert best.label in CARD.labels
    assert len(answers) == 20
    for answer in answers:
        assert answer.best == ((best.label, pytest.approx(best.score, abs=1e-6)),)
