"""The review queue of the default project."""

import pytest

from contract.access import DEFAULT_PROJECT
from services.storage.database import Database
from services.storage.people.reviews import Reviews


@pytest.fixture
def reviews(database: Database) -> Reviews:
    return Reviews(database, DEFAULT_PROJECT)
