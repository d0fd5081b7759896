"""The online side of a replica."""

import io

import pytest
from PIL import Image

from contract.artifacts import Bucket
from contract.errors import DatabaseUnavailable
from contract.inference import Artifact, EncodedImage, Failure, Question, Scores, Target
from messaging.answering import Respond
from services.inference.online import setup
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.onnx_models import linear


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def respond(objects: MemoryObjects) -> Respond:
    return setup.setup(Stores(database=Database.in_memory(), objects=objects)).respond


def test_a_batch_is_answered(objects: MemoryObjects, respond: Respond) -> None:
    image = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(image, "JPEG")
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear())
    target = Target("tiny", 1, Artifact(**artifact.model_dump(mode="json")))
    questions = tuple(Question(EncodedImage(file, 2), 0.0, "") for file in (image.getvalue(), b"junk"))

    good, bad = respond(target, questions).answers

    assert isinstance(good, Scores)
    assert len(good.best) == 2
    assert isinstance(bad, Failure)
    assert bad.code == "bad_image"


@pytest.mark.parametrize(("value", "at_once"), [("", 1), ("0", 1), ("2", 2)])
def test_the_number_of_concurrent_batches_is_configurable(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, value: str, at_once: int
) -> None:
    # the default is 1 on a CPU, because replicas already use all cores
    monkeypatch.setenv("TIDEPOOL_INFERENCE_BATCHES_AT_ONCE", value)

    assert setup.setup(Stores(database=Database.in_memory(), objects=objects)).at_once == at_once


def test_the_provider_is_recorded_once_even_after_a_database_outage() -> None:
    outages, recorded = [DatabaseUnavailable("the database does not answer")], []

    class Catalog:
        def note_provider(self, name: str, version: int, provider: str) -> None:
            if outages:
                raise outages.pop()
            recorded.append((name, version, provider))

    announcer = setup.ProviderAnnouncer(lambda _: Catalog())  # type: ignore[arg-type,return-value]
    target = Target("tiny", 1, Artifact(bucket="jobs", key="model.onnx", size=1, sha256="0" * 64))
    for _ in range(3):
        announcer.announce(target, "CPUExecutionProvider")

    assert recorded == [("tiny", 1, "CPUExecutionProvider")]
