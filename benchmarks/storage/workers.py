"""Many workers that claim at the same time, each with a connection of its own, at a steady rate."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import create_engine

from services.storage.database import Database
from services.storage.jobs.leases import Leases

PROCESSES = 2


@dataclass(frozen=True)
class Crowd:
    """How many workers claim, for how long, and how many seconds are between two claims of one of them."""

    workers: int
    seconds: float
    every_s: float


def claim_together(url: str, crowd: Crowd) -> list[float]:
    """Return how long each claim took, in seconds; each worker gives the job back that it has claimed."""
    context = multiprocessing.get_context("spawn")
    shares = [crowd.workers // PROCESSES + (number < crowd.workers % PROCESSES) for number in range(PROCESSES)]
    with context.Pool(PROCESSES) as pool:
        lists = pool.starmap(_claims, [(url, crowd, share, number) for number, share in enumerate(shares)])
    return [seconds for part in lists for seconds in part]


def _claims(url: str, crowd: Crowd, workers: int, process: int) -> list[float]:
    options = {} if url.startswith("sqlite") else {"pool_size": workers, "max_overflow": 0}
    leases, start = Leases(Database(create_engine(url, **options))), threading.Barrier(workers)

    def work(number: int) -> list[float]:
        start.wait()
        time.sleep(crowd.every_s * number / workers)  # so that they come one after the other
        seconds, until = [], time.monotonic() + crowd.seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            claim = leases.claim("train", f"worker-{process}-{number}")
            seconds.append(time.perf_counter() - began)
            if claim is not None:
                leases.release(claim.lease)
            time.sleep(max(0.0, crowd.every_s - (time.perf_counter() - began)))
        return seconds

    with ThreadPoolExecutor(workers) as threads:
        return [second for part in threads.map(work, range(workers)) for second in part]
