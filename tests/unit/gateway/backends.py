"""The only place that says what stands behind the gateway in its unit tests."""

from fastapi import FastAPI

from contract.errors import BadImage
from contract.inference import Answer, Failure, Picture, Question, Scores, Target
from contract.jobs import JobError
from contract.predictions import ImageResult
from runtime.channel import Channel
from runtime.drain import Answered
from runtime.stores import Stores
from services.gateway.app import create_app
from services.gateway.batching.batcher import Batcher
from services.gateway.batching.bounds import Bounds
from services.gateway.dependencies import Backends
from services.gateway.predictor import Predictor
from services.gateway.settings import GatewaySettings
from tests.examples import LABELS

BAD_IMAGE = ImageResult(error=JobError(code=BadImage.code, message="the file is damaged"))
SETTINGS = GatewaySettings(max_json_bytes=2_000, max_upload_bytes=4_000, max_predict_bytes=8_000, max_images=10)


def gateway(stores: Stores, channel: Channel) -> FastAPI:
    """The application with small limits."""
    return create_app(Backends(SETTINGS, stores, Predictor(Batcher(channel, Bounds()), stores.models)))


def classify(_: Target, questions: tuple[Question, ...]) -> Answered:
    """What an inference replica answers, if a picture that starts with `bad` is damaged and any other shows a cat."""
    return Answered([_answer(question) for question in questions], 1.5, "CPUExecutionProvider", 64)


def _answer(question: Question) -> Answer:
    assert isinstance(question.payload, Picture)
    if question.payload.file.startswith(b"bad"):
        return Failure(BadImage.code, "the file is damaged")
    return Scores(tuple(zip(LABELS, (0.75, 0.25), strict=True))[: question.payload.top_k])
