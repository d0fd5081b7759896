"""An embedded stack that prepares archives, and what a preparation takes there."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from contract.pools import Pool
from tidepool.stack.home import Home
from tidepool.stack.ports import free_ports
from tidepool_client import Client

POOL = "preprocess"
_LOOK_S = 0.05


@dataclass(frozen=True)
class Preparation:
    """Seconds from the accepted upload to the ready version, and the largest memory of one process in MiB."""

    images: int
    replicas: int
    seconds: float
    memory_mib: float

    @property
    def microseconds_an_image(self) -> float:
        return 1e6 * self.seconds / self.images


def running(folder: Path) -> AbstractContextManager[Client]:
    """Run a stack in a folder, without replicas of the other pools."""
    return embedded(folder, {"trainer": 0, "inference": 0, POOL: 1})


@contextmanager
def embedded(folder: Path, scales: Mapping[str, int]) -> Iterator[Client]:
    """Run a stack in a folder with this many replicas of each pool."""
    home, (port,) = Home.at(folder / "home"), free_ports(1)
    environment = os.environ | {"TIDEPOOL_HOME": str(home.path), "TIDEPOOL_PORT": str(port)}
    try:
        _tidepool(environment, "up", *(f"--scale={pool}={count}" for pool, count in scales.items()))
        with Client(f"http://127.0.0.1:{port}", home.key_file.read_text().strip()) as client:
            yield client
    finally:
        _tidepool(environment, "down")


def prepare(client: Client, name: str, archive: Path, replicas: int) -> Preparation:
    """Upload an archive as a dataset and wait for it; raises RuntimeError if its job fails."""
    client.pools.scale(POOL, replicas)
    while _pool(client).replicas.ready != replicas:
        time.sleep(0.2)
    with _peak_memory() as peak:
        job = client.jobs.wait(client.datasets.upload(name, archive).id)
    if job.result is None or job.finished_at is None:
        raise RuntimeError(f"{name} was not prepared: {job.error and job.error.message}")
    images = sum(job.result["counts"].values())
    seconds = (job.finished_at - job.created_at).total_seconds()
    return Preparation(images, replicas, seconds, max(peak) / 2**20)


def _pool(client: Client) -> Pool:
    return next(pool for pool in client.pools.list() if pool.name == POOL)


@contextmanager
def _peak_memory() -> Iterator[list[int]]:
    """Watch the processes of the preprocess replicas during the block; yields a list of the largest resident sizes."""
    peaks, done = [0], threading.Event()

    def watch() -> None:
        replicas = [process for process in psutil.process_iter(["cmdline"]) if _is_replica(process)]
        while not done.wait(_LOOK_S):
            sizes = [_resident(child) for replica in replicas for child in replica.children(recursive=True)]
            peaks[0] = max([peaks[0], *sizes])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def _is_replica(process: psutil.Process) -> bool:
    return "services.preprocess.main" in (process.info["cmdline"] or ())


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _tidepool(environment: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "tidepool.cli.app", *arguments]
    subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=True)
