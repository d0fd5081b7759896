"""The way from an endpoint to the inference pool; where requests will be gathered into batches."""

import asyncio
import time
from dataclasses import dataclass

from contract.artifacts import ObjectRef
from contract.predictions import ImageResult, PredictCall, PredictReply
from contract.references import Reference
from runtime import codec
from runtime.calls import Caller
from services.gateway.request_id import current_request_id

POOL = "inference"
CHUNK = 64  # pictures in one message, so that replicas share a large request


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one prediction."""

    queue: float
    inference: float
    total: float


class Predictor:
    """Sends pictures to the pool and puts the answers together."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def predict(
        self, model: Reference, artifact: ObjectRef, images: list[bytes], top_k: int, within_s: float
    ) -> tuple[list[ImageResult], Timing]:
        """Results in the order of `images`; raises BrokerUnavailable, DeadlineExceeded, or what the model raised."""
        started = time.perf_counter()
        chunks = [images[at : at + CHUNK] for at in range(0, len(images), CHUNK)]
        replies = await asyncio.gather(*(self._ask(model, artifact, chunk, top_k, within_s) for chunk in chunks))
        total = (time.perf_counter() - started) * 1e3
        inference = sum(reply.inference_ms for reply in replies)
        results = [result for reply in replies for result in reply.results]
        return results, Timing(max(0.0, round(total - inference, 3)), round(inference, 3), round(total, 3))

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the way to the pool is open."""
        await self._caller.ping()

    async def close(self) -> None:
        await self._caller.close()

    async def _ask(
        self, model: Reference, artifact: ObjectRef, images: list[bytes], top_k: int, within_s: float
    ) -> PredictReply:
        call = PredictCall(
            model=model.name, version=model.version or 1, artifact=artifact, top_k=top_k, images=tuple(images)
        )
        reply = await self._caller.call(POOL, codec.encode(call), within_s, current_request_id())
        return codec.decode(PredictReply, reply)
