"""One inference replica predicts a split, in parts, and answers calls beside."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.batches import PredictResult, PredictSpec, SplitInput
from contract.jobs import JobKind, PredictRequest
from contract.predictions import PredictCall, PredictReply
from contract.references import Reference
from runtime.broker import Broker, celery_app
from runtime.calls import RedisCaller
from runtime.codec import decode, encode
from services.inference.row import read_lines
from services.storage.objects import S3Objects
from services.storage.session import Database
from tests.onnx_models import CARD, pictures
from tests.pictures import encoded
from tests.predicting import fetch, publish_model, publish_split
from tests.replicas import Replicas
from tests.servers import S3Server, Server

IMAGES = pictures(24)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidepool.db"


@pytest.fixture
def replicas(database: Database, objects: S3Objects, redis: Server, s3: S3Server, tmp_path: Path) -> Iterator[Replicas]:
    replicas = Replicas(database, objects, redis, s3, tmp_path)
    publish_model(replicas.stores)
    publish_split(replicas.stores, IMAGES, np.arange(24) % 3)
    with replicas.swept():
        yield replicas
    replicas.stop()


async def answered(replicas: Replicas, calls: int) -> list[PredictReply]:
    """What the pool says of the split's first picture, asked one call after the other."""
    _, model = replicas.stores.models.manifest(Reference.parse("pet-cnn@1"))
    call = PredictCall(
        model="pet-cnn", version=1, artifact=model.artifact, top_k=1, images=(encoded(IMAGES[0].transpose(1, 2, 0)),)
    )
    caller = RedisCaller(replicas.settings, Broker(celery_app(replicas.settings)))
    bodies = [await caller.call("inference", encode(call), 60, "request-1") for _ in range(calls)]
    await caller.close()
    return [decode(PredictReply, body) for body in bodies]


def test_jobs_and_calls_in_one_replica(replicas: Replicas, tmp_path: Path) -> None:
    # given a job of six parts
    stores = replicas.stores
    spec = PredictSpec(model="pet-cnn@1", input=SplitInput(dataset="pets@1"))
    job = stores.jobs.create(PredictRequest(kind=JobKind.PREDICT, spec=spec))

    # when the one replica is asked while it has the job
    replicas.start("inference", TIDEPOOL_PART_PICTURES="4")
    replies = asyncio.run(answered(replicas, calls=20))

    # then both get their answers, and they are the same
    replicas.until(lambda: stores.jobs.get(job.id).state.terminal)
    result = PredictResult.model_validate(stores.jobs.get(job.id).result)
    assert (result.count, result.failed) == (24, 0)
    assert result.metrics is not None
    rows = list(read_lines(fetch(stores.objects, stores.jobs.output(job.id), tmp_path / "output")))
    assert [row.image for row in rows] == list(range(24))
    (best,) = rows[0].predictions or ()
    assert best.label in CARD.labels
    for reply in replies:
        (online,) = reply.results[0].predictions or ()
        assert online.label == best.label
        assert online.score == pytest.approx(best.score, abs=1e-6)
