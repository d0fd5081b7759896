"""The only place that decides which version answers a request, and which one gets a copy of it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

import structlog

from contract.errors import TidepoolError
from contract.inference import Artifact, Payload, Target
from services.gateway.serving.batching.batcher import Asker
from services.storage.catalog.routes import Route, Share

log = structlog.get_logger()

COPIES = 256  # under way at most; a shadow that is slower than the traffic misses the rest

T = TypeVar("T")


def target_of(share: Share) -> Target:
    """Where the questions for a version go."""
    artifact = Artifact(**share.manifest.artifact.model_dump(mode="json"))
    return Target(share.reference.name, share.reference.version or 0, artifact, share.manifest.batched)


@dataclass(frozen=True)
class Traffic(Generic[T]):
    """Versions with the running sums of their percentages, and the one that shadows them."""

    versions: tuple[T, ...]
    sums: tuple[int, ...]
    shadow: T | None = None

    @classmethod
    def of(cls, route: Route, make: Callable[[Share], T]) -> "Traffic[T]":
        """A route whose shares are made into what answers; raises what `make` raises, but not for the shadow's sake."""
        sums = tuple(accumulate(share.weight for share in route.shares))
        return cls(tuple(make(share) for share in route.shares), sums, _shadow(route, make))

    def choose(self) -> T:
        """One of the versions, by chance and their percentages."""
        if len(self.versions) == 1:
            return self.versions[0]
        return random.choices(self.versions, cum_weights=self.sums)[0]  # noqa: S311  no secret


def _shadow(route: Route, make: Callable[[Share], T]) -> T | None:
    if route.shadow is None:
        return None
    try:
        return make(route.shadow)
    except TidepoolError as error:  # it cannot be asked this way, which is nothing to those who ask the others
        log.info("shadow left out", shadow=str(route.shadow.reference), code=error.code)
        return None


class Shadows:
    """Sends copies of requests whose answers nobody sees."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._copies: set[asyncio.Task[None]] = set()

    def copy(self, target: Target, payload: Payload, within_s: float) -> None:
        """Ask the shadow the same, beside; what becomes of it is no matter of the request's."""
        if len(self._copies) < COPIES:
            task = asyncio.ensure_future(self._ask(target, payload, within_s))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _ask(self, target: Target, payload: Payload, within_s: float) -> None:
        try:
            await self._asker.ask(target, payload, within_s)
        except TidepoolError as error:
            log.info("shadow failed", model=target.model, version=target.version, code=error.code)
