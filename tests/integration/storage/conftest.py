"""The tables on both databases, with a fake clock."""

from collections.abc import Iterator

import pytest

from contract.access import DEFAULT_PROJECT
from services.storage.access.keys import Keys
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.sweep.reconciler import Reconciler
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(migrated_url: str, clock: FakeClock) -> Iterator[Database]:
    """A migrated database."""
    database = Database.connect(migrated_url, clock)
    yield database
    database.engine.dispose()


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database, DEFAULT_PROJECT)


@pytest.fixture
def uploads(database: Database) -> Uploads:
    return Uploads(database, DEFAULT_PROJECT)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, DEFAULT_PROJECT)


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database)


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


@pytest.fixture
def events(database: Database) -> Events:
    return Events(database, DEFAULT_PROJECT)


@pytest.fixture
def reconciler(database: Database) -> Reconciler:
    return Reconciler(database)


@pytest.fixture
def datasets(database: Database) -> Datasets:
    return Datasets(database, DEFAULT_PROJECT)


@pytest.fixture
def models(database: Database) -> Models:
    return Models(database, DEFAULT_PROJECT)
