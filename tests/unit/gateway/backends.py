"""The backends of the gateway in unit tests."""

from contextlib import suppress

from fastapi import FastAPI

from contract.errors import BadImage, DatabaseUnavailable
from contract.inference import Answer, EncodedImage, Failure, Question, Scores, Target
from contract.jobs import JobError
from contract.predictions import ImageResult
from contract.reports import Reports
from messaging.answering import BatchAnswers
from messaging.channel import Channel
from messaging.in_memory import MemoryReports
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.batcher import Batcher, InferenceClient
from services.gateway.serving.batching.lane import Bounds
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.pools.demand import Demand
from services.storage.stores import Stores
from tests.examples import LABELS

BAD_IMAGE = ImageResult(error=JobError(code=BadImage.code, message="the file is damaged"))
SETTINGS = GatewaySettings(max_json_bytes=2_000, max_upload_bytes=4_000, max_predict_bytes=8_000, max_images=10)


def gateway(stores: Stores, channel: Channel, reports: Reports | None = None) -> FastAPI:
    """The application with small limits."""
    return create_app(make_backends(stores, Batcher(channel, Bounds()), reports=reports))


def make_backends(
    stores: Stores, inference: InferenceClient, settings: GatewaySettings = SETTINGS, reports: Reports | None = None
) -> Backends:
    """Backends over the stores; pools have no reports unless `reports` has some."""
    with suppress(DatabaseUnavailable):  # some tests begin with an outage
        stores.pools.ensure()
    demand = Demand(stores.pools, reports or MemoryReports())
    return Backends(settings, stores, Predictor(inference, stores), demand)


def classify(_: Target, questions: tuple[Question, ...]) -> BatchAnswers:
    """Answer as an inference replica: an image that starts with `bad` is damaged, any other shows a cat."""
    return BatchAnswers([_answer(question) for question in questions], 1.5, "CPUExecutionProvider", 64)


def _answer(question: Question) -> Answer:
    assert isinstance(question.payload, EncodedImage)
    if question.payload.file.startswith(b"bad"):
        return Failure(BadImage.code, "the file is damaged")
    return Scores(tuple(zip(LABELS, (0.75, 0.25), strict=True))[: question.payload.top_k])
