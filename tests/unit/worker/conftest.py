"""The state that tests of the worker share"""

import pytest

from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores


@pytest.fixture
def stores() -> Stores:
    return Stores(Database.in_memory(), MemoryObjects())
