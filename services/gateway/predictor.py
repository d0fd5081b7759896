"""The way from an endpoint to a model: a reference is resolved, and the batcher is asked."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from contract.errors import TidepoolError
from contract.inference import Artifact, Picture, Scores, Target
from contract.references import Reference
from services.gateway.batching.batcher import Answered, Asker
from services.gateway.recent import Recent
from services.storage.models import Models


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


class Predictor:
    """Asks the pool about pictures."""

    def __init__(self, asker: Asker, models: Models) -> None:
        self.asker = asker
        self._targets: Recent[Wanted, Target] = Recent(lambda wanted: _target(models, Reference(**wanted._asdict())))

    async def target(self, wanted: Wanted) -> Target:
        """The version that is wanted now; raises NotFound."""
        return self._targets.peek(wanted) or await self._targets.get(wanted)

    def forget(self) -> None:
        """A version or an alias has changed."""
        self._targets.forget()

    async def classify(self, target: Target, file: bytes, top_k: int, within_s: float) -> Answered:
        """The best classes of one picture; raises what Asker.ask raises."""
        return await self.asker.ask(target, Picture(file, top_k), within_s)

    async def classify_all(
        self, target: Target, files: list[bytes], top_k: int, within_s: float
    ) -> list[Answered | TidepoolError]:
        """The best classes of each picture, or its own error; raises what is no picture's fault."""
        asked = [self.classify(target, file, top_k, within_s) for file in files]
        found = await asyncio.gather(*asked, return_exceptions=True)
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


def _target(models: Models, reference: Reference) -> Target:
    pinned, manifest = models.manifest(reference)
    artifact = Artifact(**manifest.artifact.model_dump(mode="json"))
    return Target(pinned.name, pinned.version or 0, artifact)
