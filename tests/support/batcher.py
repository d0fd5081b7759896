"""A gateway's batcher for tests, connected to Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from messaging.broker import Broker, celery_app
from messaging.channel import RedisChannel
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds


@asynccontextmanager
async def batcher(pool: str, url: str, sockets: Path | None = None) -> AsyncIterator[Batcher]:
    """Open a batcher for a pool during the block; `sockets` is the folder of those of replicas on this machine."""
    settings = BrokerSettings.model_validate({"url": url})
    batcher = Batcher(RedisChannel(pool, settings, Broker(celery_app(settings)), sockets), Bounds())
    await batcher.open()
    yield batcher
    await batcher.close()
