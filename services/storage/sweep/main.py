"""The storage process: `init` prepares a deployment and ends; `sweep` runs until SIGTERM.

`policies` prints what each service may do in the object store, `bucket-policies` the same by bucket.
"""

import json
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from messaging.scrape import watch_disk
from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from services.storage.access.rights import OBJECTS, bucket_policies, object_policy
from services.storage.settings import DatabaseSettings, ObjectsSettings
from services.storage.sweep.loops import collect, pipelines, purge, sweep, watch_drift
from services.storage.sweep.preparation import init


def print_policies() -> None:
    """Print the object store policy of each service, for operators who create its keys by hand."""
    prefix = ObjectsSettings.model_fields["bucket_prefix"].default
    print(json.dumps({service: object_policy(service, prefix) for service in OBJECTS}, indent=2))


def print_bucket_policies() -> None:
    """Print the policy of each bucket, for object stores such as Ceph, whose users have no policies."""
    print(json.dumps(bucket_policies(ObjectsSettings.model_fields["bucket_prefix"].default), indent=2))


def sqlite_folder(url: str) -> Path | None:
    """Return the folder of an SQLite database, None for other databases."""
    scheme, _, path = url.partition(":///")
    return Path(path).parent if scheme == "sqlite" else None


def main(command: str) -> None:
    if command == "policies":
        print_policies()
        return
    if command == "bucket-policies":
        print_bucket_policies()
        return
    start_telemetry("storage", TelemetrySettings())
    if command == "init":
        init()
        return
    if (folder := sqlite_folder(DatabaseSettings().url.get_secret_value())) is not None:
        watch_disk("database", folder)
    stop = threading.Event()

    def finish(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGINT, finish)
    for loop in (collect, watch_drift, pipelines):
        threading.Thread(target=loop, args=[stop], daemon=True).start()
    purging = threading.Thread(target=purge, args=[stop])
    purging.start()
    sweep(stop)
    purging.join()


if __name__ == "__main__":
    if sys.argv[1:] not in (["init"], ["sweep"], ["policies"], ["bucket-policies"]):
        sys.exit("usage: python -m services.storage.sweep.main init|sweep|policies|bucket-policies")
    main(sys.argv[1])
