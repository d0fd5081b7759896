"""Two instances: one in which the owner has one of everything, and one in which the owner has nothing."""

import pytest

from tests.trust.world import World, make_world


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("worlds") / "full", full=True)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("worlds") / "empty", full=False)
