"""Training on the real services goes on where a killed attempt left it."""

from tests.faults.cluster import SERVICES
from tests.faults.driver import Driver
from tests.faults.resumption import EPOCHS, compare
from tests.faults.start import cluster


def test_a_killed_training_resumes_and_makes_the_same_model() -> None:
    with cluster("sqlite", SERVICES) as target:
        driver = Driver(target)
        driver.wait_until_it_answers()

        compared = compare(driver)
        driver.close()

    assert compared.same
    assert compared.attempts == 2
    assert compared.reported == tuple(range(1, EPOCHS + 1))
