"""Sample a pool in the background."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contract.pools import Pool
from tidepool_client import Client

SAMPLE_INTERVAL_S = 0.5
POOL = "inference"


@dataclass(frozen=True)
class PoolSample:
    """The pool `at` seconds after the start; None stands for values that could not be measured."""

    at: float
    desired: int
    ready: int | None
    waiting: int | None


def pool_of(client: Client) -> Pool:
    return next(pool for pool in client.pools.list() if pool.name == POOL)


@contextmanager
def watching(client: Client) -> Iterator[list[PoolSample]]:
    """Sample the pool during the block; yields the growing list."""
    samples: list[PoolSample] = []
    done = threading.Event()
    start = time.monotonic()

    def sample() -> None:
        while not done.wait(SAMPLE_INTERVAL_S):
            pool = pool_of(client)
            now = time.monotonic() - start
            samples.append(PoolSample(now, pool.replicas.desired, pool.replicas.ready, pool.queue.waiting))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()
