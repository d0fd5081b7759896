"""Predictions for images: resolve a model reference, then ask the batcher."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from pydantic import ConfigDict

from contract.errors import TidepoolError
from contract.inference import EncodedImage, Scores, Target
from contract.references import Reference
from services.gateway.edge.ttl_cache import TtlCache
from services.gateway.serving.batching.batcher import InferenceClient, Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.gateway.serving.routing import Routing, Shadows, target_of
from services.gateway.serving.sampling.admission import Admission, SampledAlias
from services.gateway.serving.sampling.observation import Observation, SamplingPlan
from services.gateway.serving.sampling.sampler import Sampler
from services.storage.catalog.routes import Share
from services.storage.stores import Stores

MAX_CONCURRENT_IMAGES = 64  # of one request; more would leave other requests no room


@dataclass(slots=True)
class TimingMs:
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


class Chosen(NamedTuple):
    """The version that answers, the shadow that gets a copy of the request, and how the request is sampled."""

    target: Target
    shadow: Target | None
    sampling: SamplingPlan | None = None


class Predictor:
    """Sends images to the inference pool."""

    def __init__(self, inference: InferenceClient, stores: Stores) -> None:
        self.inference = inference
        self._shadows = Shadows(inference)
        self.sampler = Sampler(inference, Admission(stores))

        def read(query: ModelQuery) -> Routing[Target]:
            reference = Reference(name=query.name, version=query.version, alias=query.alias)
            route = stores.of(query.project).models.route(reference)
            routing = Routing.of(route, _image_target)
            if route.sampling is None or route.sampling_since is None or query.alias is None:
                return routing
            alias = SampledAlias(query.project, query.name, query.alias)
            plan = SamplingPlan(alias, route.sampling, route.sampling_since, routing.shadow is not None)
            return replace(routing, sampling=plan)

        self._routings: TtlCache[ModelQuery, Routing[Target]] = TtlCache(read)

    async def choose(self, query: ModelQuery) -> Chosen:
        """Return the version that answers a request; raises NotFound, and BadModel for a rejected version."""
        routing = await self._routings.get(query)
        return Chosen(routing.choose(), routing.shadow, routing.sampling)

    def forget(self) -> None:
        """Drop cached routings; call it after a version or an alias has changed."""
        self._routings.forget()

    def peek(self, query: ModelQuery) -> Chosen | None:
        """Like `choose`, but return None if the routing is not cached."""
        routing = self._routings.peek(query)
        return None if routing is None else Chosen(routing.choose(), routing.shadow, routing.sampling)

    async def classify(
        self, chosen: Chosen, file: bytes, top_k: int, within_s: float, prediction: str = ""
    ) -> BatchedAnswer:
        """Return the best classes of one image; raises what InferenceClient.ask raises.

        `prediction` is its id, by which a review refers to it.
        """
        image, observation = self._prepare(chosen, file, top_k, within_s, prediction)
        answer = await self.inference.ask(chosen.target, image, within_s)
        if observation is not None:
            observation.answered(answer)
        return answer

    def post(self, chosen: Chosen, file: bytes, top_k: int, within_s: float, request_id: str, then: Then) -> Leave:
        """Callback form of `classify`, whose prediction has the request's id; creates no Future. Raises Overloaded."""
        image, observation = self._prepare(chosen, file, top_k, within_s, request_id, then)
        settle = then if observation is None else observation.answered
        return self.inference.post(chosen.target, image, within_s, request_id, settle)

    def _prepare(
        self, chosen: Chosen, file: bytes, top_k: int, within_s: float, prediction: str, then: Then | None = None
    ) -> tuple[EncodedImage, Observation | None]:
        """Send a copy to the shadow; return the question, and what looks at the answer if it may be sampled."""
        image, observation = EncodedImage(file, top_k), None
        if (plan := chosen.sampling) is not None:
            observation = Observation(self.sampler.offer, plan, chosen.target, file, prediction, then or _ignore)
        if chosen.shadow is not None:
            compare = None if observation is None else observation.compare
            self._shadows.copy(chosen.shadow, image, within_s, compare)
        return image, observation

    async def classify_all(
        self, chosen: Chosen, files: list[bytes], top_k: int, within_s: float, predictions: Sequence[str]
    ) -> list[BatchedAnswer | TidepoolError]:
        """Return for each image its best classes or its own error; raises errors that are not specific to one image.

        `predictions` are the ids of the images' predictions.
        """
        loop, semaphore = asyncio.get_running_loop(), asyncio.Semaphore(MAX_CONCURRENT_IMAGES)
        deadline = loop.time() + within_s

        async def classify(file: bytes, prediction: str) -> BatchedAnswer:
            async with semaphore:
                return await self.classify(chosen, file, top_k, max(0.0, deadline - loop.time()), prediction)

        outcomes = await asyncio.gather(*map(classify, files, predictions), return_exceptions=True)
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
    queue = max((answer.queue_ms for answer in answers), default=0.0)
    inference = max((answer.inference_ms for answer in answers), default=0.0)
    return TimingMs(round(queue, 3), round(inference, 3), round(queue + inference, 3))


def _ignore(_: BatchedAnswer | Exception) -> None:
    return None


def _image_target(share: Share) -> Target:
    """Return the target of a version that takes images; raises Invalid if it lacks labels or preprocessing."""
    _ = share.manifest.card
    return target_of(share)
