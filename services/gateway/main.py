"""The gateway process: its composition root."""

import gc
import sys
import tempfile
from functools import partial
from pathlib import Path

import structlog
import uvicorn
from prometheus_client import Gauge

from messaging.allocator import return_large_blocks
from messaging.broker import Broker, celery_app
from messaging.redis_channel import RedisChannel
from messaging.reports import RedisReports
from messaging.scrape import SCRAPE, watch_disk
from messaging.settings import BrokerSettings, LocalSettings, TelemetrySettings, TracingSettings
from messaging.spin import Spin
from messaging.telemetry import start_telemetry
from messaging.tracing import start_tracing
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge.byte_budget import BodyBudgets
from services.gateway.edge.certificate import BadCertificate
from services.gateway.edge.connection import within_file_limit
from services.gateway.edge.listening import GatewayServer, PortInUse, listeners
from services.gateway.edge.submit_limit import Submits
from services.gateway.edge.watches import Watches
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.serving.predictor import Predictor
from services.gateway.settings import GatewaySettings
from services.storage.pools.demand import Demand
from services.storage.stores import Stores

log = structlog.get_logger()

HELD = Gauge(
    "tidepool_held_bytes", "Bytes of request bodies that the gateway holds; beyond the limit, it refuses.", ["budget"]
)
HELD_LIMIT = Gauge("tidepool_held_limit_bytes", "Most bytes of request bodies that the gateway holds.", ["budget"])
SUBMITS = Gauge("tidepool_submits_in_progress_requests", "Job submissions that the gateway processes or lets wait.")
STREAMS = Gauge("tidepool_streams_requests", "Event streams and `?wait=` requests that follow a job.")


def main() -> None:
    return_large_blocks()
    start_telemetry("gateway", TelemetrySettings())
    start_tracing("gateway", TracingSettings())
    settings, broker, local = GatewaySettings(), BrokerSettings(), LocalSettings()
    settings = settings.model_copy(update={"max_connections": within_file_limit(settings.max_connections)})
    stores = Stores.from_environment()
    bounds = Bounds(
        waiting=settings.max_waiting,
        batch=settings.max_batch,
        flights=settings.flights_per_replica,
        waiting_bytes=settings.max_waiting_bytes,
        flight_bytes=settings.own_batch_bytes,
    )
    spin = Spin(local.spin_ms / 1e3)
    channel = RedisChannel("inference", broker, Broker(celery_app(broker)), local.local_sockets, spin)
    batcher = Batcher(channel, bounds)
    demand = Demand(stores.pools, RedisReports(broker))
    backends = Backends(settings, stores, Predictor(batcher, stores), demand)
    SCRAPE.before(batcher.show_load)
    SCRAPE.before(partial(_show_load, backends.bodies, backends.submits, backends.watches))
    watch_disk("scratch", Path(tempfile.gettempdir()))  # where uploads wait for the object store
    certificate = backends.certificate
    sockets = listeners(settings.host, settings.port, shared=settings.gateways > 1)
    if settings.probe_port:
        sockets += listeners("127.0.0.1", settings.probe_port, shared=False, settings="TIDEPOOL_PROBE_PORT")
    app, protocol = create_app(backends), create_protocol(backends)
    gc.freeze()  # otherwise each full collection scans the whole application, for 80 ms
    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # it is only called
        ws="none",
        loop="services.gateway.edge.handshakes:HandshakeLoop",
        log_config=None,
        access_log=False,  # the request-id middleware logs each request
        server_header=False,
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        timeout_graceful_shutdown=20,
    )
    log.info("gateway listens", host=settings.host, port=settings.port, processes=settings.gateways)
    GatewayServer(config, sockets).listen()


def _show_load(bodies: BodyBudgets, submits: Submits, watches: Watches) -> None:
    """Set the metrics of what the gateway holds; called at each scrape, from another thread."""
    budgets = {"predictions": bodies.predictions, "uploads": bodies.uploads, "documents": bodies.documents}
    for name, budget in budgets.items():
        HELD.labels(name).set(budget.held)
        HELD_LIMIT.labels(name).set(budget.limit)
    SUBMITS.set(submits.taken)
    STREAMS.set(watches.streams)


if __name__ == "__main__":
    try:
        main()
    except (BadCertificate, PortInUse) as error:
        sys.exit(str(error))
