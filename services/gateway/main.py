"""The gateway process; its composition root."""

import uvicorn

from runtime.broker import Broker, celery_app
from runtime.calls import RedisCaller
from runtime.settings import BrokerSettings, TelemetrySettings
from runtime.stores import Stores
from runtime.telemetry import start_telemetry
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.predictor import Predictor
from services.gateway.settings import GatewaySettings


def main() -> None:
    start_telemetry("gateway", TelemetrySettings())
    settings, broker = GatewaySettings(), BrokerSettings()
    predictor = Predictor(RedisCaller(broker, Broker(celery_app(broker))))
    app = create_app(Backends(settings, Stores.from_environment(), predictor))
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # the request-id middleware logs each request
        server_header=False,
        timeout_graceful_shutdown=20,
    )


if __name__ == "__main__":
    main()
