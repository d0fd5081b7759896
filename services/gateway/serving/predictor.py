"""Predictions for images: resolve a model reference, then ask the batcher."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ConfigDict

from contract.errors import TidepoolError
from contract.inference import EncodedImage, Scores, Target
from contract.references import Reference
from services.gateway.edge.ttl_cache import TtlCache
from services.gateway.serving.batching.batcher import InferenceClient, Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.routing import Routing, Shadows, target_of
from services.storage.catalog.routes import Share
from services.storage.stores import Stores

MAX_CONCURRENT_IMAGES = 64  # of one request; more would leave other requests no room


@dataclass(slots=True)
class TimingMs:  # a dataclass: the endpoint and the fast path both encode it, and the latter creates one per request
    queue: float
    inference: float
    total: float

    __pydantic_config__ = ConfigDict(extra="forbid")


class ModelQuery(NamedTuple):
    """The model that a request names, in a project; validated by the caller."""

    project: str
    name: str
    version: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version that answers, and the shadow that gets a copy of the request."""

    target: Target
    shadow: Target | None


class Predictor:
    """Sends images to the inference pool."""

    def __init__(self, inference: InferenceClient, stores: Stores) -> None:
        self.inference = inference
        self._shadows = Shadows(inference)

        def read(query: ModelQuery) -> Routing[Target]:
            reference = Reference(name=query.name, version=query.version, alias=query.alias)
            return Routing.of(stores.of(query.project).models.route(reference), _image_target)

        self._routings: TtlCache[ModelQuery, Routing[Target]] = TtlCache(read)

    async def choose(self, query: ModelQuery) -> Chosen:
        """Return the version that answers a request; raises NotFound, and BadModel for a rejected version."""
        routing = await self._routings.get(query)
        return Chosen(routing.choose(), routing.shadow)

    def forget(self) -> None:
        """Drop cached routings; call it after a version or an alias has changed."""
        self._routings.forget()

    def peek(self, query: ModelQuery) -> Chosen | None:
        """Like `choose`, but return None if the routing is not cached."""
        routing = self._routings.peek(query)
        return None if routing is None else Chosen(routing.choose(), routing.shadow)

    async def classify(self, chosen: Chosen, file: bytes, top_k: int, within_s: float) -> BatchedAnswer:
        """Return the best classes of one image; raises what InferenceClient.ask raises."""
        return await self.inference.ask(chosen.target, self._image(chosen, file, top_k, within_s), within_s)

    def post(self, chosen: Chosen, file: bytes, top_k: int, within_s: float, request_id: str, then: Then) -> Leave:
        """Callback form of `classify`; creates no Future. Raises Overloaded."""
        image = self._image(chosen, file, top_k, within_s)
        return self.inference.post(chosen.target, image, within_s, request_id, then)

    def _image(self, chosen: Chosen, file: bytes, top_k: int, within_s: float) -> EncodedImage:
        image = EncodedImage(file, top_k)
        if chosen.shadow is not None:
            self._shadows.copy(chosen.shadow, image, within_s)
        return image

    async def classify_all(
        self, chosen: Chosen, files: list[bytes], top_k: int, within_s: float
    ) -> list[BatchedAnswer | TidepoolError]:
        """Return for each image its best classes or its own error; raises errors that are not specific to one image."""
        loop, semaphore = asyncio.get_running_loop(), asyncio.Semaphore(MAX_CONCURRENT_IMAGES)
        deadline = loop.time() + within_s

        async def classify(file: bytes) -> BatchedAnswer:
            async with semaphore:
                return await self.classify(chosen, file, top_k, max(0.0, deadline - loop.time()))

        outcomes = await asyncio.gather(*map(classify, files), return_exceptions=True)
        results: list[BatchedAnswer | TidepoolError] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not (
                isinstance(outcome, TidepoolError) and outcome.status == 422
            ):
                raise outcome
            results.append(outcome)
        return results


def top_classes(answer: BatchedAnswer) -> tuple[tuple[str, float], ...]:
    """Return the labels and scores of an image, best first."""
    assert isinstance(answer.answer, Scores)  # noqa: S101  an image is never answered by tensors
    return answer.answer.best


def timing(answers: list[BatchedAnswer]) -> TimingMs:
    """Return the longest times in the queue and in the model, for answers that were awaited together."""
    if len(answers) == 1:  # a request with one image, of which there are most
        (answer,) = answers
        queue_ms, inference_ms = answer.queue_ms, answer.inference_ms
        return TimingMs(round(queue_ms, 3), round(inference_ms, 3), round(queue_ms + inference_ms, 3))
    queue = max((answer.queue_ms for answer in answers), default=0.0)
    inference = max((answer.inference_ms for answer in answers), default=0.0)
    return TimingMs(round(queue, 3), round(inference, 3), round(queue + inference, 3))


def _image_target(share: Share) -> Target:
    """Return the target of a version that takes images; raises Invalid if it lacks labels or preprocessing."""
    _ = share.manifest.card
    return target_of(share)
