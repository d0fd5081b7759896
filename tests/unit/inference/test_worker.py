"""A replica as it is put together."""

import io

import pytest
from PIL import Image

from contract.artifacts import Bucket
from contract.errors import Malformed
from contract.predictions import PredictCall, PredictReply
from runtime.calls import Answer
from runtime.codec import decode, encode
from runtime.stores import Stores
from services.inference import worker
from services.storage.memory import MemoryObjects
from services.storage.session import Database
from tests.onnx_models import linear


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def answer(objects: MemoryObjects) -> Answer:
    return worker.setup(Stores(database=Database.in_memory(), objects=objects))


def test_a_call_is_answered_in_bytes(objects: MemoryObjects, answer: Answer) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(picture, "JPEG")
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear())
    call = PredictCall(model="tiny", version=1, artifact=artifact, top_k=2, images=(picture.getvalue(), b"junk"))

    reply = decode(PredictReply, answer(encode(call)))

    good, bad = reply.results
    assert good.predictions is not None
    assert len(good.predictions) == 2
    assert bad.error is not None
    assert bad.error.code == "bad_image"


def test_garbage_is_malformed(answer: Answer) -> None:
    with pytest.raises(Malformed):
        answer(b"garbage")
