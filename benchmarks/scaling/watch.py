"""The only place that looks at a pool again and again while something else goes on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from contract.pools import Pool
from tidepool.client import Client

EVERY_S = 0.5
POOL = "inference"


@dataclass(frozen=True)
class Look:
    """Seconds since the first look, and what there was; None is what could not be measured."""

    at: float
    desired: int
    ready: int | None
    waiting: int | None


def pool_of(client: Client) -> Pool:
    return next(pool for pool in client.pools() if pool.name == POOL)


@contextmanager
def watching(client: Client) -> Iterator[list[Look]]:
    """Yields the looks, which come in while the block runs."""
    looks: list[Look] = []
    done = threading.Event()
    start = time.monotonic()

    def look() -> None:
        while not done.wait(EVERY_S):
            pool = pool_of(client)
            now = time.monotonic() - start
            looks.append(Look(now, pool.replicas.desired, pool.replicas.ready, pool.queue.waiting))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        done.set()
        thread.join()
