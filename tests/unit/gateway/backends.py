"""The only place that says what stands behind the gateway in its unit tests."""

from fastapi import FastAPI

from contract.errors import BadImage
from contract.jobs import JobError
from contract.predictions import ImageResult, PredictCall, Prediction, PredictReply
from runtime.calls import Caller
from runtime.codec import decode, encode
from runtime.stores import Stores
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.predictor import Predictor
from services.gateway.settings import GatewaySettings
from tests.examples import LABELS

BAD_IMAGE = ImageResult(error=JobError(code=BadImage.code, message="the file is damaged"))
SETTINGS = GatewaySettings(max_json_bytes=2_000, max_upload_bytes=4_000, max_predict_bytes=8_000, max_images=10)


def gateway(stores: Stores, caller: Caller) -> FastAPI:
    """The application with small limits."""
    return create_app(Backends(SETTINGS, stores, Predictor(caller)))


def classify(body: bytes) -> bytes:
    """What an inference replica answers, if a picture that starts with `bad` is damaged and any other shows a cat."""
    call = decode(PredictCall, body)
    guesses = tuple(Prediction(label=label, score=score) for label, score in zip(LABELS, (0.75, 0.25), strict=True))
    good = ImageResult(predictions=guesses[: call.top_k])
    results = tuple(BAD_IMAGE if image.startswith(b"bad") else good for image in call.images)
    return encode(PredictReply(results=results, inference_ms=1.5, provider="CPUExecutionProvider"))
