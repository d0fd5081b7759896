"""The storage process: `init` prepares a deployment once, `sweep` rings, repairs and collects until SIGTERM.

`policies` prints what each service may do in the object store.
"""

import json
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client import Counter, Gauge
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.errors import TidepoolError
from contract.pools import Measured, PoolName, Replicas
from messaging.broker import Broker, celery_app
from messaging.settings import BrokerSettings, TelemetrySettings
from messaging.telemetry import start_telemetry
from services.storage.access.keys import Keys
from services.storage.access.object_keys import hand_out_keys
from services.storage.access.rights import OBJECTS, Service, object_policy
from services.storage.access.roles import ensure_roles
from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.pools.pools import Pools
from services.storage.settings import DatabaseSettings, ObjectsSettings, SweepSettings
from services.storage.sweep.collector import Collector
from services.storage.sweep.reconciler import Reconciler

RELAY_S = 0.2
REPAIR_S = 5.0
REACH_S = 60.0  # how long `init` waits for its servers to come up

REPAIRED = Counter("tidepool_repairs_total", "Jobs that the reconciler touched.", ["repair"])
WOKEN = Counter("tidepool_bells_total", "Wakeups woken from the outbox.")
COLLECTED = Counter("tidepool_collected_objects_total", "Objects deleted that no job and no version points at.")
OLDEST = Gauge("tidepool_oldest_queued_seconds", "How long the longest waiting due job has waited.", ["kind"])

log = structlog.get_logger()


class AdminSettings(BaseSettings):
    """TIDEPOOL_ADMIN_KEY: the first admin key, made by whoever deploys; only its hash is stored.

    TIDEPOOL_SERVICES_DATABASE_URLS: `{"gateway": "postgresql+psycopg://…"}`, with roles of the services' own.
    TIDEPOOL_SERVICES_FOLDER: a folder for each service, into which its key to the object store is written.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    admin_key: SecretStr = Field(min_length=1)
    services_database_urls: dict[Service, SecretStr] = {}
    services_folder: Path | None = None


class ScaleSettings(BaseSettings):
    """TIDEPOOL_SCALE: `{"inference": 2}`, replicas that a person wants from now on, whatever was set before."""

    tidepool_scale: dict[PoolName, Replicas] = {}


def init() -> None:
    """Migrate the schema, make buckets, pools, the first admin key, and what services are known by; safe to repeat."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    admin = AdminSettings()
    until = time.monotonic() + REACH_S
    while True:
        try:
            migrate(database)
            S3Objects(ObjectsSettings()).make_buckets()
            make_pools(Pools(database))
            Keys(database).ensure_admin(admin.admin_key.get_secret_value())
            urls = admin.services_database_urls.items()
            ensure_roles(database, {service: url.get_secret_value() for service, url in urls})
            if admin.services_folder:
                hand_out_keys(ObjectsSettings(), admin.services_folder)
        except TidepoolError as error:
            if not error.retryable or time.monotonic() > until:
                raise
            log.info("waiting for a server", code=error.code)
            time.sleep(1.0)
        else:
            log.info("initialised")
            return


def make_pools(pools: Pools) -> None:
    """Those that are missing, and of the size that the environment gives; raises DatabaseUnavailable."""
    pools.ensure()
    for name, replicas in ScaleSettings().tidepool_scale.items():
        pools.set_manual(name, replicas, Measured(at=0.0, ready=None, waiting=None, running=None))


def sweep(stop: threading.Event) -> None:
    """Relay and repair until `stop` is set; an outage only delays both."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    reconciler, pools = Reconciler(database), Pools(database)
    broker = Broker(celery_app(BrokerSettings()))
    repair_at = 0.0
    while not stop.wait(RELAY_S):
        try:
            WOKEN.inc(reconciler.relay(broker.wake))
            if time.monotonic() >= repair_at:
                repair_at = time.monotonic() + REPAIR_S
                for repair, count in vars(reconciler.repair()).items():
                    REPAIRED.labels(repair).inc(count)
                for kind, seconds in reconciler.oldest_queued_seconds().items():
                    OLDEST.labels(kind).set(seconds)
                pools.prune()
        except TidepoolError as error:
            log.warning("sweep delayed", code=error.code)
            stop.wait(1.0)


def collect(stop: threading.Event) -> None:
    """Collect now and then until `stop` is set; apart from `sweep`, which a slow object store must not delay."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    settings = SweepSettings()
    collector = Collector(database, S3Objects(ObjectsSettings()), timedelta(seconds=settings.collect_grace_s))
    while not stop.wait(settings.collect_s):
        try:
            count = collector.collect()
        except TidepoolError as error:
            log.warning("collection delayed", code=error.code)
        else:
            COLLECTED.inc(count)
            log.info("collected", objects=count)


def print_policies() -> None:
    """What each service must be allowed to do in the object store, for those who make its keys by hand."""
    prefix = ObjectsSettings.model_fields["bucket_prefix"].default
    print(json.dumps({service: object_policy(service, prefix) for service in OBJECTS}, indent=2))


def main(command: str) -> None:
    if command == "policies":
        print_policies()
        return
    start_telemetry("storage", TelemetrySettings())
    if command == "init":
        init()
        return
    stop = threading.Event()

    def finish(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    threading.Thread(target=collect, args=[stop], daemon=True).start()
    sweep(stop)


if __name__ == "__main__":
    if sys.argv[1:] not in (["init"], ["sweep"], ["policies"]):
        sys.exit("usage: python -m services.storage.sweep.main init|sweep|policies")
    main(sys.argv[1])
