"""Questions to a pool over Redis, asked as a gateway asks them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from messaging.broker import Broker, celery_app
from messaging.channel import RedisChannel
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds


@asynccontextmanager
async def batcher(pool: str, url: str) -> AsyncIterator[Batcher]:
    """A gateway's batcher on this Redis."""
    settings = BrokerSettings.model_validate({"url": url})
    asker = Batcher(RedisChannel(pool, settings, Broker(celery_app(settings))), Bounds())
    await asker.open()
    yield asker
    await asker.close()
