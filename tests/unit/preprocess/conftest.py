"""Fixtures that prepare archives and load the result, and the stores of jobs."""

from pathlib import Path

import pytest

from services.storage.stores import Stores
from tests.support.job_runs import memory_stores
from tests.support.preparation import Load, Prepare, Workshop
from tests.support.revisions import FILES, Revisions


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def prepared(workshop: Workshop) -> Prepare:
    return workshop.prepare


@pytest.fixture
def loaded(workshop: Workshop) -> Load:
    return workshop.load


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def revisions(stores: Stores, tmp_path: Path) -> Revisions:
    """A dataset with one version, to make others from."""
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES)
    return revisions
