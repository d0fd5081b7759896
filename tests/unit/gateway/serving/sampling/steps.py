"""Predictions of a sampled alias, and the items that they become."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from sqlalchemy import select

from contract.inference import Answer, EncodedImage, Question, Scores, Target
from contract.sampling import ReviewSampling, SamplingMix
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.gateway.dependencies import Backends
from services.storage.stores import Stores
from services.storage.tables import review_items

PREDICT = "/v1/models/pet-cnn/predict?alias=production"
PNG = {"Content-Type": "image/png"}
LARGE = b"large" * 300
DOUBTFUL = ReviewSampling(mix=SamplingMix(margin=1, random=0, disagreement=0))
RANDOM = ReviewSampling(mix=SamplingMix(margin=0, random=1, disagreement=0))


def classify(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
    """Answer as a replica: the first version is unsure of a cat, others of a dog; a copy is the file in capitals."""

    def answer(question: Question) -> Answer:
        image = question.payload
        assert isinstance(image, EncodedImage)
        best = (("cat", 0.6), ("dog", 0.4)) if target.version == 1 else (("dog", 0.6), ("cat", 0.4))
        copy = image.file.upper() * (1000 if image.file.startswith(LARGE) else 1)
        return Scores(best[: image.top_k], 0.2, 0.673, copy if image.copy else b"")

    return BatchAnswers([answer(question) for question in questions], 1.5, "CPUExecutionProvider", 64)


def before_copies(channel: MemoryChannel, act: Callable[[], None]) -> None:
    """Let replicas do something before they make a copy."""

    def respond(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        if any(isinstance(question.payload, EncodedImage) and question.payload.copy for question in questions):
            act()
        return classify(target, questions)

    channel.respond = respond


def items(stores: Stores) -> list[dict[str, Any]]:
    """The rows of the queue, in the order of their images."""
    with stores.database.read() as connection:
        rows = connection.execute(select(review_items)).mappings().all()
    return sorted(map(dict, rows), key=lambda row: str(row["prediction"]))


async def predict(client: httpx.AsyncClient, backends: Backends, *images: bytes, **headers: str) -> None:
    """Send images; before the first, wait until the gateway knows the counters."""
    if not backends.predictor.sampler._states:
        project = {"Tidepool-Project": headers["Tidepool_Project"]} if "Tidepool_Project" in headers else {}
        await client.post(PREDICT, content=b"first", headers=PNG | project)
        await asyncio.gather(*backends.predictor._shadows._copies)
        await backends.predictor.sampler.idle()
    for number, image in enumerate(images):
        named = {
            "X-Request-ID": f"request-{number}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        assert (await client.post(PREDICT, content=image, headers=PNG | named)).status_code == 200
    await backends.predictor.sampler.idle()
