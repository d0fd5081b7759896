"""A replica as it is put together."""

import io

import pytest
from PIL import Image

from contract.artifacts import Bucket
from contract.inference import Artifact, EncodedImage, Failure, Question, Scores, Target
from messaging.responder import Respond
from services.inference import worker
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.onnx_models import linear


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def respond(objects: MemoryObjects) -> Respond:
    return worker.setup(Stores(database=Database.in_memory(), objects=objects)).respond


def test_a_batch_is_answered(objects: MemoryObjects, respond: Respond) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "JPEG")
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear())
    target = Target("tiny", 1, Artifact(**artifact.model_dump(mode="json")))
    questions = tuple(Question(EncodedImage(file, 2), 0.0, "") for file in (picture.getvalue(), b"junk"))

    good, bad = respond(target, questions).answers

    assert isinstance(good, Scores)
    assert len(good.best) == 2
    assert isinstance(bad, Failure)
    assert bad.code == "bad_image"


@pytest.mark.parametrize(("asked", "at_once"), [("", 1), ("0", 1), ("2", 2)])
def test_how_many_batches_at_once(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, asked: str, at_once: int
) -> None:
    # on a CPU, replicas fill the cores
    monkeypatch.setenv("TIDEPOOL_INFERENCE_BATCHES_AT_ONCE", asked)

    assert worker.setup(Stores(database=Database.in_memory(), objects=objects)).at_once == at_once
