"""Chooses the version that answers a request, and the shadow that gets a copy of it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

import structlog

from contract.errors import TidepoolError
from contract.inference import Artifact, Outputs, Payload, Scores, Target
from contract.variants import serving_artifact
from services.gateway.serving.batching.batcher import InferenceClient
from services.gateway.serving.sampling.observation import SamplingPlan
from services.storage.catalog.routes import Route, Share

log = structlog.get_logger()

MAX_COPIES = 256  # in flight; further copies are dropped, so a slow shadow does not get every request

T = TypeVar("T")
Compare = Callable[[Scores | Outputs | None], None]


def target_of(share: Share) -> Target:
    """Return the batcher's target for a version: the file of the variant that serves."""
    variant, file = serving_artifact(share.manifest)
    artifact = Artifact(**file.model_dump(mode="json"))
    name, version = share.reference.name, share.reference.version or 0
    return Target(name, version, artifact, share.manifest.batched, variant, share.project)


@dataclass(frozen=True)
class Routing(Generic[T]):
    """Versions with the cumulative sums of their percentages, and their shadow; how images are sampled for reviews."""

    versions: tuple[T, ...]
    sums: tuple[int, ...]
    shadow: T | None = None
    sampling: SamplingPlan | None = None

    @classmethod
    def of(cls, route: Route, make: Callable[[Share], T]) -> "Routing[T]":
        """Convert each share of a route by `make`; raises what `make` raises, except for the shadow."""
        sums = tuple(accumulate(share.weight for share in route.shares))
        return cls(tuple(make(share) for share in route.shares), sums, _shadow(route, make))

    def choose(self) -> T:
        """Return a random version, weighted by the percentages."""
        if len(self.versions) == 1:
            return self.versions[0]
        return random.choices(self.versions, cum_weights=self.sums)[0]  # noqa: S311  no secret


def _shadow(route: Route, make: Callable[[Share], T]) -> T | None:
    if route.shadow is None:
        return None
    try:
        return make(route.shadow)
    except TidepoolError as error:  # it does not take this kind of request; the other versions still answer
        log.info("shadow left out", shadow=str(route.shadow.reference), code=error.code)
        return None


class Shadows:
    """Sends copies of requests to shadow versions; their answers are dropped, or compared with those of the version."""

    def __init__(self, inference: InferenceClient) -> None:
        self._inference = inference
        self._copies: set[asyncio.Task[None]] = set()

    def copy(self, target: Target, payload: Payload, within_s: float, then: Compare | None = None) -> None:
        """Send a copy in the background; its failure does not affect the request.

        `then` gets the answer, or None without one.
        """
        if len(self._copies) < MAX_COPIES:
            task = asyncio.ensure_future(self._ask(target, payload, within_s, then))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)
        elif then is not None:
            then(None)

    async def _ask(self, target: Target, payload: Payload, within_s: float, then: Compare | None) -> None:
        answer = None
        try:
            answer = (await self._inference.ask(target, payload, within_s)).answer
        except TidepoolError as error:
            log.info("shadow failed", model=target.model, version=target.version, code=error.code)
        if then is not None:
            then(answer)
