"""Serves with Ray Serve and its batching."""

import signal
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.inference.peers.serving import Array, Classifier, Serving

SERVING = Serving.from_environment()
QUIET = {"enable_access_log": False}


@serve.deployment(
    num_replicas=SERVING.workers, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5}, logging_config=QUIET
)
class Inference:
    def __init__(self, serving: Serving) -> None:
        self._classifier = Classifier(serving)

    @serve.batch(max_batch_size=SERVING.batch, batch_wait_timeout_s=0.001)
    async def _answer(self, read: list[Array]) -> list[dict[str, Any]]:
        return self._classifier.answer(read)

    async def __call__(self, request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = await self._answer(self._classifier.read(await request.body()))
        return answer


if __name__ == "__main__":
    ray.init(include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=200_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": SERVING.port}, logging_config=QUIET)
    serve.run(Inference.bind(SERVING), logging_config=QUIET)
    signal.pause()
