"""How a request's pictures are shared out and put together again."""

import pytest

from contract.predictions import ImageResult, PredictCall, Prediction, PredictReply
from contract.references import Reference
from runtime.codec import decode, encode
from runtime.memory import MemoryCaller
from services.gateway.predictor import CHUNK, Predictor
from tests.examples import ONNX_FILE

pytestmark = pytest.mark.anyio

MODEL = Reference(name="pet-cnn", version=3)


async def test_a_large_request_is_shared_by_replicas() -> None:
    # given replicas that say of each picture what is in it
    sizes = []

    def answer(body: bytes) -> bytes:
        call = decode(PredictCall, body)
        assert (call.model, call.version, call.artifact, call.top_k) == ("pet-cnn", 3, ONNX_FILE, 2)
        sizes.append(len(call.images))
        results = (ImageResult(predictions=(Prediction(label=image.decode(), score=1.0),)) for image in call.images)
        return encode(PredictReply(results=tuple(results), inference_ms=2.0, provider="CPUExecutionProvider"))

    # when they get more pictures than fit into one message
    images = [str(index).encode() for index in range(2 * CHUNK + 1)]
    results, timing = await Predictor(MemoryCaller(answer)).predict(MODEL, ONNX_FILE, images, 2, 10.0)

    # then no message has more than it may, and the answers are in order
    assert sorted(sizes) == [1, CHUNK, CHUNK]
    labels = [result.predictions[0].label for result in results if result.predictions]
    assert labels == [str(index) for index in range(2 * CHUNK + 1)]
    assert timing.inference == 6.0
