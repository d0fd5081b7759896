"""The only place that starts echoing replicas and asks them."""

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

PATIENCE_S = 40.0
TARGET = Target("echo", 1, Artifact("jobs", "none", 1, "0" * 64))


@contextmanager
def replica(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers questions, until the end of the block."""
    environment = os.environ | {
        "TIDEPOOL_BROKER_URL": url,
        "TIDEPOOL_DATABASE_URL": f"sqlite:///{log}.db",
        "TIDEPOOL_S3_ENDPOINT": "http://127.0.0.1:1",
        "TIDEPOOL_S3_ACCESS_KEY": "unused",
        "TIDEPOOL_S3_SECRET_KEY": "unused",
        "TIDEPOOL_LOG_LEVEL": "DEBUG",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.integration.worker.echo_worker"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


async def ask(asker: Batcher, text: str, within_s: float = PATIENCE_S) -> str:
    """The first word of the answer."""
    return (await ask_all(asker, text, within_s))[0]


async def ask_all(asker: Batcher, text: str, within_s: float = PATIENCE_S) -> list[str]:
    """Every word of the answer."""
    answer = (await asker.ask(TARGET, EncodedImage(text.encode()), within_s)).answer
    assert isinstance(answer, Scores)
    return [word for word, _ in answer.best]


async def until_answered(asker: Batcher) -> str:
    """The answer to `hello`, asked again through an outage."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await ask(asker, "hello", 5)
            except (BrokerUnavailable, DeadlineExceeded):
                await asyncio.sleep(0.2)
