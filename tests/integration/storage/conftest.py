"""The tables on both databases, under a clock that stands still."""

from collections.abc import Iterator

import pytest

from services.storage.datasets import Datasets
from services.storage.events import Events
from services.storage.jobs import Jobs
from services.storage.leases import Leases
from services.storage.models import Models
from services.storage.parts import Parts
from services.storage.reconciler import Reconciler
from services.storage.session import Database
from tests.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(migrated_url: str, clock: FakeClock) -> Iterator[Database]:
    """A migrated database."""
    found = Database.connect(migrated_url, clock)
    yield found
    found.engine.dispose()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database)


@pytest.fixture
def parts(database: Database) -> Parts:
    return Parts(database)


@pytest.fixture
def events(database: Database) -> Events:
    return Events(database)


@pytest.fixture
def reconciler(database: Database) -> Reconciler:
    return Reconciler(database)


@pytest.fixture
def datasets(database: Database) -> Datasets:
    return Datasets(database)


@pytest.fixture
def models(database: Database) -> Models:
    return Models(database)
