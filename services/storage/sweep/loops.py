"""The loops of the storage process: relay messages and repair jobs, collect objects, show drift, purge projects."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from contract.errors import TidepoolError
from messaging.broker import Broker, celery_app
from messaging.process_presence import ProcessPresence
from messaging.redis_memory import RedisMemory
from messaging.settings import BrokerSettings
from services.storage.access.audit import prune_audit
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.pools.pools import Pools
from services.storage.pools.traffic import Traffic
from services.storage.settings import DatabaseSettings, ObjectsSettings, SweepSettings
from services.storage.sweep.abandoned import AbandonedUploads
from services.storage.sweep.collector import Collector
from services.storage.sweep.drift import Labels, show_drift
from services.storage.sweep.meter import StorageMeter
from services.storage.sweep.metrics import COLLECTED, DELAYED, RELAYED, count_repairs, show_queues
from services.storage.sweep.pipeline_metrics import show_pipelines
from services.storage.sweep.pipelines import PipelineRunner
from services.storage.sweep.purge import Purger
from services.storage.sweep.reconciler import BATCH, Reconciler
from services.storage.sweep.retention import RetentionSweep

RELAY_S = 0.2
REPAIR_S = 5.0
DRIFT_S = 60.0
PURGE_S = 2.0  # between two looks for a project to purge
PIPELINES_S = 2.0  # between two looks at runs of pipelines
TRIGGERS_S = 15.0  # between two looks for pipelines that are due

log = structlog.get_logger()


def sweep(stop: threading.Event) -> None:
    """Relay and repair until `stop` is set; an outage only delays both."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    reconciler, pools, keep = Reconciler(database), Pools(database), timedelta(days=SweepSettings().audit_days)
    settings, traffic = BrokerSettings(), Traffic(database)
    broker, redis_memory = Broker(celery_app(settings)), RedisMemory(settings)
    presence = ProcessPresence("storage", settings)
    presence.start()
    repair_at = 0.0
    while not stop.wait(RELAY_S):
        try:
            _relay(reconciler, broker, stop)
            if time.monotonic() >= repair_at:
                repair_at = time.monotonic() + REPAIR_S
                count_repairs(reconciler.repair())
                show_queues(reconciler, pools)
                redis_memory.read()
                pools.prune()
                traffic.prune()
                prune_audit(database, keep)
            presence.passed()
        except TidepoolError as error:
            DELAYED.labels(error.code).inc()
            log.warning("sweep delayed", code=error.code)
            stop.wait(1.0)
        except Exception:  # the next pass may succeed, and without it no job would be repaired
            log.exception("sweep delayed")
            stop.wait(1.0)


def _relay(reconciler: Reconciler, broker: Broker, stop: threading.Event) -> None:
    """Send wake-up messages until the outbox is empty or the broker is away, for REPAIR_S seconds at most.

    The caller repairs jobs after that, even if messages are left.
    """
    until = time.monotonic() + REPAIR_S
    sent = BATCH
    while sent == BATCH and time.monotonic() < until and not stop.is_set():
        sent = reconciler.relay(broker.wake)
        RELAYED.inc(sent)


def collect(stop: threading.Event) -> None:
    """Collect unreferenced objects at intervals until `stop` is set.

    Runs in a thread of its own, because a slow object store must not delay `sweep`.
    """
    database, settings = Database.connect(DatabaseSettings().url.get_secret_value()), SweepSettings()
    objects = S3Objects(ObjectsSettings())
    grace = timedelta(seconds=settings.collect_grace_s)
    of_jobs = Collector(database, objects, grace)
    of_uploads = AbandonedUploads(database, objects, timedelta(seconds=settings.collect_uploads_s), grace)
    keep_jobs = timedelta(days=settings.keep_jobs_days) if settings.keep_jobs_days else None
    retention = RetentionSweep(database, timedelta(days=settings.unpublished_uploads_days), keep_jobs)
    meter = StorageMeter(database, objects)
    while not stop.wait(settings.collect_s):
        _attempt("deleted by retention", retention.apply)
        for collect_from in (of_jobs.collect, of_uploads.collect):
            COLLECTED.inc(_attempt("collected", collect_from))
        _attempt("measured", meter.measure)  # after the collections: what they have deleted no longer counts


def watch_drift(stop: threading.Event) -> None:
    """Show the drift alarms every DRIFT_S seconds until `stop` is set, in a thread of its own: many take seconds."""
    database, alarms = Database.connect(DatabaseSettings().url.get_secret_value()), frozenset[Labels]()
    while not stop.wait(DRIFT_S):
        try:
            alarms = frozenset(show_drift(database, alarms))
        except TidepoolError as error:
            DELAYED.labels(error.code).inc()
            log.warning("drift not judged", code=error.code)
        except Exception:
            log.exception("drift not judged")


def purge(stop: threading.Event) -> None:
    """Run the jobs that delete projects until `stop` is set, in a thread of its own, since one may take hours."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    purger = Purger(database, S3Objects(ObjectsSettings()), stop)
    while not stop.wait(PURGE_S):
        try:
            purger.work()
        except TidepoolError as error:
            DELAYED.labels(error.code).inc()
            log.warning("purge delayed", code=error.code)
        except Exception:
            log.exception("purge delayed")


def pipelines(stop: threading.Event) -> None:
    """Run pipelines until `stop` is set, in a thread of its own, so that wake-up messages do not wait for them."""
    database = Database.connect(DatabaseSettings().url.get_secret_value())
    runner, due_at = PipelineRunner(database), 0.0
    while not stop.wait(PIPELINES_S):
        try:
            if time.monotonic() >= due_at:
                due_at = time.monotonic() + TRIGGERS_S
                runner.start_due()
                show_pipelines(database)
            runner.advance()
        except TidepoolError as error:
            DELAYED.labels(error.code).inc()
            log.warning("pipelines delayed", code=error.code)
        except Exception:
            log.exception("pipelines delayed")


def _attempt(done: str, action: Callable[[], int]) -> int:
    """Do a part of a pass, and log how many things it has handled; return 0 if an outage prevented it."""
    try:
        count = action()
    except TidepoolError as error:
        DELAYED.labels(error.code).inc()
        log.warning("collection delayed", part=done, code=error.code)
        return 0
    except Exception:
        log.exception("collection delayed", part=done)
        return 0
    log.info(done, count=count)
    return count
