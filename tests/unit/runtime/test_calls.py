"""A call when there is no broker; with one, see the integration tests."""

import pytest

from contract.errors import BrokerUnavailable
from runtime.broker import Broker, celery_app
from runtime.calls import RedisCaller
from runtime.settings import BrokerSettings
from tests.servers import free_port


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_nobody_listens() -> None:
    settings = BrokerSettings.model_validate({"url": f"redis://127.0.0.1:{free_port()}/0"})
    caller = RedisCaller(settings, Broker(celery_app(settings)))

    # then the caller hears so, and not that the time was too short
    with pytest.raises(BrokerUnavailable):
        await caller.call("inference", b"picture", 30, "r-1")
    with pytest.raises(BrokerUnavailable):
        await caller.ping()

    await caller.close()
