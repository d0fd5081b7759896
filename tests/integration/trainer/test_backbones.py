"""One trainer replica checks backbones that people bring, and starts a training from one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.backbones import BackboneInput
from contract.datasets import Counts, Split
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.backbone import BackboneRequest, BackboneSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import UploadSource
from services.storage.catalog.uploads import new_upload_id
from services.storage.database import Database
from services.storage.objects import S3Objects
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.support.onnx_models import CARD
from tests.support.prediction_data import stored_shards
from tests.support.pretrained import graph
from tests.support.publication import publish
from tests.support.replicas import Replicas
from tests.support.servers import S3Server, Server

IMAGES = BackboneInput(size=(16, 16), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidepool.db"


@pytest.fixture
def replicas(database: Database, objects: S3Objects, redis: Server, s3: S3Server, tmp_path: Path) -> Iterator[Replicas]:
    replicas = Replicas(database, objects, redis, s3, tmp_path)
    publish_colours(replicas)
    with replicas.swept():
        yield replicas
    replicas.stop()


def publish_colours(replicas: Replicas) -> None:
    """Publish pets@1, whose classes differ in their brightest colour."""
    labels = np.arange(30) % 3
    images = np.random.default_rng(0).integers(0, 60, (30, 3, 8, 6), np.uint8)
    images[np.arange(30), labels] += 150
    store = replicas.stores.objects
    shards = {split: stored_shards(store, images, labels, 1, f"prepared-{split}") for split in Split}
    manifest = {"classes": CARD.labels, "image": CARD.preprocessing.image, "shards": shards, "index": None}
    counts = Counts(train=30, val=30, test=30)
    publish(replicas.stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update=manifest | {"counts": counts}))


def ended(replicas: Replicas, request: JobRequest) -> Job:
    jobs = replicas.stores.of(DEFAULT_PROJECT).jobs
    job = jobs.create(request)
    replicas.until(lambda: jobs.get(job.id).state.terminal)
    return jobs.get(job.id)


def bringing(replicas: Replicas, file: bytes) -> BackboneRequest:
    ref = replicas.stores.objects.put(Bucket.UPLOADS, new_upload_id(), file)
    source = UploadSource(upload=replicas.stores.of(DEFAULT_PROJECT).uploads.add("body.onnx", ref).id)
    return BackboneRequest(
        kind=JobKind.BACKBONE, spec=BackboneSpec(backbone="mine", source=source, preprocessing=IMAGES)
    )


def test_a_replica_checks_a_backbone_and_trains_from_it(replicas: Replicas, tmp_path: Path) -> None:
    replicas.start("trainer")

    # when a valid and an invalid file are brought
    file = graph(tmp_path).read_bytes()
    ready, rejected = (ended(replicas, bringing(replicas, content)) for content in (file, b"garbage garbage"))

    # then one version is ready and the other rejected
    assert (ready.state, ready.result) == (JobState.SUCCEEDED, {"backbone": "mine@1", "status": "ready"}), ready.error
    assert (rejected.state, rejected.result) == (JobState.FAILED, {"backbone": "mine@2", "status": "rejected"})

    # and the same replica trains from the ready version
    spec = TrainSpec(dataset="pets@1", model="net", init_from="mine@1")
    trained = ended(replicas, TrainRequest(kind=JobKind.TRAIN, spec=spec))
    assert trained.state == JobState.SUCCEEDED, trained.error
    assert trained.result is not None
    assert trained.result["metrics"]["val"]["accuracy"] > 0.9
    assert {"method": "probe"}.items() <= {item["what"]: item["value"] for item in trained.result["decisions"]}.items()
