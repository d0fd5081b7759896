"""Starts echo replicas and sends them questions."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contract.errors import BrokerUnavailable, DeadlineExceeded
from contract.inference import Artifact, EncodedImage, Scores, Target
from services.gateway.serving.batching.batcher import Batcher

TIMEOUT_S = 40.0
TARGET = Target("echo", 1, Artifact("jobs", "none", 1, "0" * 64))


@contextmanager
def replica(url: str, log: Path, sockets: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run an echo replica during the block; with `sockets`, it listens there for gateways of this machine."""
    environment = os.environ | {
        "TIDEPOOL_BROKER_URL": url,
        "TIDEPOOL_DATABASE_URL": f"sqlite:///{log}.db",
        "TIDEPOOL_S3_ENDPOINT": "http://127.0.0.1:1",
        "TIDEPOOL_S3_ACCESS_KEY": "unused",
        "TIDEPOOL_S3_SECRET_KEY": "unused",
        "TIDEPOOL_LOG_LEVEL": "DEBUG",
        "TIDEPOOL_LOCAL_SOCKETS": "" if sockets is None else str(sockets),
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.integration.worker.echo_worker"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def ask(batcher: Batcher, text: str, within_s: float = TIMEOUT_S) -> str:
    """Return the first word of the answer."""
    return (await ask_all(batcher, text, within_s))[0]


async def ask_all(batcher: Batcher, text: str, within_s: float = TIMEOUT_S) -> list[str]:
    """Return every word of the answer."""
    answer = (await batcher.ask(TARGET, EncodedImage(text.encode()), within_s)).answer
    assert isinstance(answer, Scores)
    return [word for word, _ in answer.best]


async def until_answered(batcher: Batcher) -> str:
    """Ask `hello`, again during an outage, and return the answer."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await ask(batcher, "hello", 5)
            except (BrokerUnavailable, DeadlineExceeded):
                await asyncio.sleep(0.2)
