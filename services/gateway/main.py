"""The gateway process; its composition root."""

import gc

import uvicorn

from runtime.broker import Broker, celery_app
from runtime.channel import RedisChannel
from runtime.demand import Demand
from runtime.reports import RedisReports
from runtime.settings import BrokerSettings, TelemetrySettings
from runtime.stores import Stores
from runtime.telemetry import start_telemetry
from services.gateway.app import create_app, create_protocol
from services.gateway.batching.batcher import Batcher
from services.gateway.batching.bounds import Bounds
from services.gateway.dependencies import Backends
from services.gateway.predictor import Predictor
from services.gateway.settings import GatewaySettings


def main() -> None:
    start_telemetry("gateway", TelemetrySettings())
    settings, broker = GatewaySettings(), BrokerSettings()
    stores = Stores.from_environment()
    bounds = Bounds(waiting=settings.max_waiting, batch=settings.max_batch, flights=settings.flights_per_replica)
    batcher = Batcher(RedisChannel("inference", broker, Broker(celery_app(broker))), bounds)
    demand = Demand(stores.pools, RedisReports(broker))
    backends = Backends(settings, stores, Predictor(batcher, stores.models), demand)
    app, protocol = create_app(backends), create_protocol(backends)
    gc.freeze()  # a full collection would look at the whole application for 80 ms, again and again under load
    uvicorn.run(
        app,
        http=protocol,  # type: ignore[arg-type]  # it is only called
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # the request-id middleware logs each request
        server_header=False,
        timeout_graceful_shutdown=20,
    )


if __name__ == "__main__":
    main()
