"""`python -m benchmarks.sampling.cpu`: CPU time of a prediction in the gateway with sampling off and on, in turns.

One process has the gateway's connections and batcher, and a replica without a model that answers at once with random
margins. CPU time, and not wall time, says something on a machine that is busy with something else. It has the share of
the client, which is the same with sampling and without.
"""

import argparse
import asyncio
import random
import statistics
import time

import structlog

from benchmarks.sampling.traffic import had_traffic
from benchmarks.tracing.__main__ import CONNECTIONS, Replica
from contract.access import DEFAULT_PROJECT, Scope
from contract.inference import Answer, Batch, EncodedImage, Question, Reply, Scores
from contract.sampling import ReviewSampling
from services.gateway.app import create_protocol
from services.gateway.edge import ttl_cache
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.serving.predictor import ModelQuery
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

SIZE = 1500  # bytes of an image, as a JPEG of 32 x 32 pixels
KEY = ModelQuery(DEFAULT_PROJECT, "pet-cnn", alias="production")


class Unsure(Replica):
    """A replica whose answers have random margins of ten classes."""

    def _answer(self, data: bytes) -> None:
        batch: Batch = self._batch(data)
        answers = tuple(_scores(question) for question in batch.questions)
        self.listener.replied(self._reply(self._encode(Reply(batch.id, answers, 1.0, "none", 64))))


def _scores(question: Question) -> Answer:
    image = question.payload
    copy = image.file if isinstance(image, EncodedImage) and image.copy else b""
    return Scores(((f"class {random.randrange(10)}", 0.6),), random.random(), 0.5, copy)


async def cpu_per_request(requests: int, sampling: bool) -> float:
    """Return the CPU microseconds of a prediction in the fast path."""
    stores = Stores(Database.in_memory(), MemoryObjects())
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    project = stores.of(DEFAULT_PROJECT)
    project.models.set_alias("pet-cnn", "production", 1)
    if sampling:
        project.sampling.set("pet-cnn", "production", ReviewSampling())
        had_traffic(stores.database, "pet-cnn", "production", per_s=100)
    secret = stores.keys.create("benchmark", frozenset({Scope.PREDICT})).secret
    backends = make_backends(stores, Batcher(Unsure(), Bounds()))
    async with serving(no_app, create_protocol(backends)) as client:
        url = client.base_url
        lines = (
            "POST /v1/models/pet-cnn/predict?alias=production HTTP/1.1",
            f"host: {url.host}",
            f"authorization: Bearer {secret}",
            "content-type: image/jpeg",
            f"content-length: {SIZE}",
        )
        head = "\r\n".join((*lines, "", "")).encode()

        async def send(first: int, count: int) -> None:
            reader, writer = await asyncio.open_connection(url.host, url.port)
            for number in range(first, first + count):
                writer.write(head + b"%0*d" % (SIZE, number))  # images differ
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200"), answer
                await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            writer.close()

        share = requests // CONNECTIONS
        for first, count in ((0, share // 5), (10**9, share)):
            await warm(backends, secret, KEY)
            used = time.process_time()
            await asyncio.gather(*(send(first + row * 10**6, count) for row in range(CONNECTIONS)))
            await backends.predictor.sampler.idle()
        return (time.process_time() - used) / (share * CONNECTIONS) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling.cpu", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    ttl_cache.TTL_S = 3600.0  # a request that waits for a cache does not take the fast path
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    results: dict[bool, list[float]] = {False: [], True: []}
    for pair in range(options.pairs):
        for on in (True, False) if pair % 2 else (False, True):
            results[on].append(asyncio.run(cpu_per_request(options.requests, on)))
    ratios = sorted(on / off for off, on in zip(results[False], results[True], strict=True))
    off, on = (statistics.median(results[mode]) for mode in (False, True))
    print(f"CPU time of a prediction: {off:.1f} us without sampling, {on:.1f} us with it")
    print(f"on / off: median {statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
