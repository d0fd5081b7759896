"""A training job on the real services resumes after its attempt was killed."""

import pytest

from tests.faults.cluster import SERVICES
from tests.faults.driver import Driver
from tests.faults.resumption import EPOCHS, compare
from tests.faults.start import cluster


@pytest.mark.slow
def test_a_killed_training_resumes_and_makes_the_same_model() -> None:
    with cluster("sqlite", SERVICES) as target:
        driver = Driver(target)
        driver.wait_until_it_answers()

        comparison = compare(driver)
        driver.close()

    assert comparison.same
    assert comparison.attempts == 2
    assert comparison.reported == tuple(range(1, EPOCHS + 1))
