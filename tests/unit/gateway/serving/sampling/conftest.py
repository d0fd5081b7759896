"""A project with an alias, and replicas that make copies."""

from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from messaging.in_memory import MemoryChannel
from services.gateway.serving.sampling import sampler
from services.gateway.serving.sampling.metrics import REASONS
from services.storage.stores import ProjectStores, Stores
from tests.unit.gateway.serving.sampling.steps import classify


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "PAUSE_S", 0.0)


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel(classify)


@pytest.fixture
def project(stores: Stores, model: object) -> ProjectStores:
    """A project with an alias."""
    project = stores.of(DEFAULT_PROJECT)
    project.models.set_alias("pet-cnn", "production", 1)
    return project


@pytest.fixture
def dropped() -> Callable[[str], float]:
    """Return how many samples were dropped in this test for a reason."""

    def count(reason: str) -> float:
        return REGISTRY.get_sample_value("tidepool_review_samples_dropped_total", {"reason": reason}) or 0

    before = {reason: count(reason) for reason in REASONS}
    return lambda reason: count(reason) - before[reason]
