"""A gateway's batcher for tests, connected to Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from messaging.broker import Broker, celery_app
from messaging.channel import RedisChannel
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds


@asynccontextmanager
async def batcher(pool: str, url: str) -> AsyncIterator[Batcher]:
    """Open a batcher for a pool during the block."""
    settings = BrokerSettings.model_validate({"url": url})
    batcher = Batcher(RedisChannel(pool, settings, Broker(celery_app(settings))), Bounds())
    await batcher.open()
    yield batcher
    await batcher.close()
