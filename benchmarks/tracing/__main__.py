"""`python -m benchmarks.tracing`: CPU time of a prediction with tracing off, on, and for a traced one.

One process has the gateway's connections and batcher, and what a replica does besides the model; the collector is
another one. CPU time, and not wall time, says something on a machine that is busy with something else. It has the share
of the client, which is the same in all rows.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from contract.access import DEFAULT_PROJECT, Scope
from contract.inference import Batch, Reply, Scores
from contract.tracing import span
from messaging import responder
from messaging.channel import Listener
from messaging.settings import TracingSettings
from messaging.tracing import start_tracing, stop_tracing
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

MODES: dict[str, dict[str, Any] | None] = {
    "off": None,
    "on, nothing traced": {"trace_sample": 0.0},
    "on, as by default": {},
    "on, every request traced": {"trace_sample": 1.0, "trace_rate": 1e9},
}
CONNECTIONS = 32


class Replica:
    """A channel that answers batches at once, with the messages and spans of a replica without a model."""

    listener: Listener

    def __init__(self) -> None:
        self.address, self.replicas = "gateway", frozenset({"replica"})
        self._encode = msgspec.msgpack.Encoder().encode
        self._batch, self._reply = msgspec.msgpack.Decoder(Batch).decode, msgspec.msgpack.Decoder(Reply).decode

    async def open(self) -> None:
        return None

    def send(self, batch: Batch) -> None:
        asyncio.get_running_loop().call_soon(self._answer, self._encode(batch))

    def _answer(self, data: bytes) -> None:
        batch = self._batch(data)
        with responder._traced(batch):
            with span("decode"):
                pass
            with span("run", {"tidepool.provider": "none"}):
                answers = tuple(Scores((("cat", 1.0),)) for _ in batch.questions)
            with span("reply"):
                reply = self._encode(Reply(batch.id, answers, 1.0, "none", 64))
        self.listener.replied(self._reply(reply))

    def withdraw(self, batch: Batch) -> None:
        return None

    announce = ping = close = open


@contextmanager
def collector() -> Iterator[str]:
    """Run a collector in a process of its own; yields its URL."""
    command = [sys.executable, "-m", "benchmarks.tracing.collector"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


async def cpu_per_request(requests: int) -> float:
    """Return the CPU microseconds of a prediction of 6 KB in the fast path."""
    stores = Stores(Database.in_memory(), MemoryObjects())
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    secret = stores.keys.create("benchmark", frozenset({Scope.PREDICT})).secret
    backends = make_backends(stores, Batcher(Replica(), Bounds()))
    async with serving(no_app, create_protocol(backends)) as client:
        url = client.base_url
        body = b"x" * 6000
        lines = (
            "POST /v1/models/pet-cnn/predict HTTP/1.1",
            f"host: {url.host}",
            f"authorization: Bearer {secret}",
            "content-type: image/jpeg",
            f"content-length: {len(body)}",
        )
        request = "\r\n".join((*lines, "", "")).encode() + body

        async def send(count: int) -> None:
            reader, writer = await asyncio.open_connection(url.host, url.port)
            for _ in range(count):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
            writer.close()

        share = requests // CONNECTIONS
        for count in (share // 10, share):
            await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
            used = time.process_time()
            await asyncio.gather(*(send(count) for _ in range(CONNECTIONS)))
        return (time.process_time() - used) / (share * CONNECTIONS) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ttl_cache.TTL_S = 3600.0  # a request that waits for a cache does not take the fast path
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    results: dict[str, list[float]] = {mode: [] for mode in MODES}
    with collector() as url:
        for _ in range(options.rounds):
            for mode, settings in MODES.items():
                if settings is not None:
                    start_tracing("gateway", TracingSettings.model_validate({"otlp_endpoint": url} | settings))
                results[mode].append(asyncio.run(cpu_per_request(options.requests)))
                stop_tracing()
    for mode, values in results.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{mode:<26} {statistics.median(values):6.1f} µs of CPU time a request  ({spread})")


if __name__ == "__main__":
    main()
