"""A clock that a test advances, and a project with a pipeline."""

import pytest

from tests.support.clock import FakeClock
from tests.support.pipelines import PipelineWorld, with_pipeline


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> PipelineWorld:
    return with_pipeline(clock)
