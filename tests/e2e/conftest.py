"""A stack that several files share; `SHARED_STACK` in tests/conftest.py names them."""

from collections.abc import Iterator

import pytest

from tests.e2e.running import Running, started


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stack with the default settings, empty for the first file; the last test of the last file ends it."""
    with started(tmp_path_factory.mktemp("stack") / "home") as stack:
        yield stack
