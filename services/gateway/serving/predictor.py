"""The way from an endpoint to a model: a reference is resolved, and the batcher is asked."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from contract.errors import TidepoolError
from contract.inference import EncodedImage, Scores, Target
from contract.references import Reference
from services.gateway.edge.recent import Recent
from services.gateway.serving.batching.batcher import Asker, Leave
from services.gateway.serving.batching.request import Answered, Then
from services.gateway.serving.traffic import Shadows, Traffic, target_of
from services.storage.catalog.models import Models
from services.storage.catalog.routes import Share

AT_ONCE = 64  # pictures of one request that wait for replicas; with more it would leave the others no room


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one prediction."""

    queue: float
    inference: float
    total: float


class Wanted(NamedTuple):
    """A Reference whose parts were checked before."""

    name: str
    version: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version that answers, and the one that gets a copy of the request."""

    target: Target
    shadow: Target | None


class Predictor:
    """Asks the pool about pictures."""

    def __init__(self, asker: Asker, models: Models) -> None:
        self.asker = asker
        self._shadows = Shadows(asker)
        self._traffic: Recent[Wanted, Traffic[Target]] = Recent(
            lambda wanted: Traffic.of(models.route(Reference(**wanted._asdict())), _target)
        )

    async def choose(self, wanted: Wanted) -> Chosen:
        """The version that answers a request, which is pinned to it; raises NotFound, BadModel for a rejected one."""
        traffic = await self._traffic.get(wanted)
        return Chosen(traffic.choose(), traffic.shadow)

    def forget(self) -> None:
        """A version or an alias has changed."""
        self._traffic.forget()

    def peek(self, wanted: Wanted) -> Chosen | None:
        """As `choose`, if it is known without a look into the database."""
        traffic = self._traffic.peek(wanted)
        return None if traffic is None else Chosen(traffic.choose(), traffic.shadow)

    async def classify(self, chosen: Chosen, file: bytes, top_k: int, within_s: float) -> Answered:
        """The best classes of one picture; raises what Asker.ask raises."""
        return await self.asker.ask(chosen.target, self._picture(chosen, file, top_k, within_s), within_s)

    def post(self, chosen: Chosen, file: bytes, top_k: int, within_s: float, request_id: str, then: Then) -> Leave:
        """As `classify`, for who cannot afford a future; raises Overloaded."""
        picture = self._picture(chosen, file, top_k, within_s)
        return self.asker.post(chosen.target, picture, within_s, request_id, then)

    def _picture(self, chosen: Chosen, file: bytes, top_k: int, within_s: float) -> EncodedImage:
        picture = EncodedImage(file, top_k)
        if chosen.shadow is not None:
            self._shadows.copy(chosen.shadow, picture, within_s)
        return picture

    async def classify_all(
        self, chosen: Chosen, files: list[bytes], top_k: int, within_s: float
    ) -> list[Answered | TidepoolError]:
        """The best classes of each picture, or its own error; raises what is no picture's fault."""
        loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)
        until = loop.time() + within_s

        async def classify(file: bytes) -> Answered:
            async with turn:
                return await self.classify(chosen, file, top_k, max(0.0, until - loop.time()))

        found = await asyncio.gather(*map(classify, files), return_exceptions=True)
        answers: list[Answered | TidepoolError] = []
        for each in found:
            if isinstance(each, BaseException) and not (isinstance(each, TidepoolError) and each.status == 422):
                raise each
            answers.append(each)
        return answers


def best(answered: Answered) -> tuple[tuple[str, float], ...]:
    """The labels and scores of an answer to a picture."""
    assert isinstance(answered.answer, Scores)  # noqa: S101  a picture is never answered by tensors
    return answered.answer.best


def timing(answered: list[Answered]) -> Timing:
    """Of answers that were waited for together."""
    queue = max((each.queue_ms for each in answered), default=0.0)
    inference = max((each.inference_ms for each in answered), default=0.0)
    return Timing(round(queue, 3), round(inference, 3), round(queue + inference, 3))


def _target(share: Share) -> Target:
    """Where pictures for a version go; raises Invalid for one that does not say how to feed them."""
    _ = share.manifest.card
    return target_of(share)
