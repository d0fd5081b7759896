"""Prepare a deployment: schema, buckets, pools, the first admin key, and the credentials of the services."""

import time

import structlog

from contract.access import DEFAULT_PROJECT
from contract.errors import TidepoolError
from contract.pools import Measured
from services.storage.access.keys import Keys
from services.storage.access.object_keys import hand_out_keys
from services.storage.access.projects import Projects
from services.storage.access.roles import ensure_roles
from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.pools.pools import Pools
from services.storage.settings import AdminSettings, DatabaseSettings, ObjectsSettings, ScaleSettings
from services.storage.sweep.indexing import create_index_jobs

WAIT_S = 60.0  # for the database and the object store to come up

log = structlog.get_logger()


def init() -> None:
    """Prepare the deployment that the environment describes; safe to repeat.

    Waits up to a minute for servers that do not answer yet, then raises the last error.
    """
    database, admin = Database.connect(DatabaseSettings().url.get_secret_value()), AdminSettings()
    until = time.monotonic() + WAIT_S
    while True:
        try:
            _prepare(database, admin)
        except TidepoolError as error:
            if not error.retryable or time.monotonic() > until:
                raise
            log.info("waiting for a server", code=error.code)
            time.sleep(1.0)
        else:
            log.info("initialised")
            return


def _prepare(database: Database, admin: AdminSettings) -> None:
    migrate(database)
    S3Objects(ObjectsSettings()).make_buckets()
    _make_pools(Pools(database))
    create_index_jobs(database)
    Projects(database).ensure_default()
    Keys(database, DEFAULT_PROJECT).ensure_admin(admin.admin_key.get_secret_value())
    ensure_roles(database, {service: url.get_secret_value() for service, url in admin.services_database_urls.items()})
    if admin.services_folder:
        hand_out_keys(ObjectsSettings(), admin.services_folder)


def _make_pools(pools: Pools) -> None:
    """Create the missing pools, and set the sizes that TIDEPOOL_SCALE gives; raises DatabaseUnavailable."""
    pools.ensure()
    for name, replicas in ScaleSettings().tidepool_scale.items():
        pools.set_manual(name, replicas, Measured(at=0.0, ready=None, waiting=None, running=None))
