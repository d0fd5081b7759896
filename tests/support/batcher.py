"""A gateway's batcher for tests, connected to Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from messaging.broker import Broker, celery_app
from messaging.redis_channel import RedisChannel
from messaging.settings import BrokerSettings, LocalSettings
from messaging.spin import Spin
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds


@asynccontextmanager
async def batcher(pool: str, url: str, sockets: Path | None = None) -> AsyncIterator[Batcher]:
    """Open a batcher for a pool during the block; `sockets` is the folder of those of replicas on this machine."""
    settings = BrokerSettings.model_validate({"url": url})
    spin = Spin(LocalSettings().spin_ms / 1e3)
    batcher = Batcher(RedisChannel(pool, settings, Broker(celery_app(settings)), sockets, spin), Bounds())
    await batcher.open()
    yield batcher
    await batcher.close()
