"""One inference replica vets uploaded models and predicts with them."""

import numpy as np
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.predict import PredictRequest, PredictSpec, SplitInput
from contract.kinds.vet import VetRequest, VetSpec
from contract.references import UploadSource
from services.storage.catalog.uploads import new_upload_id
from tests.support.onnx_models import linear, random_images
from tests.support.prediction_data import publish_split
from tests.support.replicas import Replicas


@pytest.fixture
def replicas(replicas: Replicas) -> Replicas:
    publish_split(replicas.stores, random_images(4), np.arange(4) % 3)
    return replicas


def ended(replicas: Replicas, request: JobRequest) -> Job:
    job = replicas.stores.of(DEFAULT_PROJECT).jobs.create(request)
    replicas.until(lambda: replicas.stores.of(DEFAULT_PROJECT).jobs.get(job.id).state.terminal)
    return replicas.stores.of(DEFAULT_PROJECT).jobs.get(job.id)


def vetting(replicas: Replicas, file: bytes) -> VetRequest:
    ref = replicas.stores.objects.put(Bucket.UPLOADS, new_upload_id(), file)
    source = UploadSource(upload=replicas.stores.of(DEFAULT_PROJECT).uploads.add("model.onnx", ref).id)
    return VetRequest(kind=JobKind.VET, spec=VetSpec(model="mine", source=source))


def test_a_replica_vets_a_model_and_predicts_with_it(replicas: Replicas) -> None:
    replicas.start("inference")

    # when a valid and an invalid file are uploaded
    ready, rejected = (ended(replicas, vetting(replicas, file)) for file in (linear(), b"garbage"))

    # then one version is ready and the other rejected
    assert (ready.state, ready.result) == (JobState.SUCCEEDED, {"model": "mine@1", "status": "ready"})
    assert (rejected.state, rejected.result) == (JobState.FAILED, {"model": "mine@2", "status": "rejected"})

    # and the same replica predicts with the ready version
    spec = PredictSpec(model="mine@1", input=SplitInput(dataset="pets@1"))
    predicted = ended(replicas, PredictRequest(kind=JobKind.PREDICT, spec=spec))
    assert predicted.state == JobState.SUCCEEDED
    assert predicted.result is not None
    assert predicted.result["count"] == 4
