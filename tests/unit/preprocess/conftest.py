"""Fixtures that prepare archives and load the result."""

from pathlib import Path

import pytest

from tests.support.preparation import Load, Prepare, Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def prepared(workshop: Workshop) -> Prepare:
    return workshop.prepare


@pytest.fixture
def loaded(workshop: Workshop) -> Load:
    return workshop.load
