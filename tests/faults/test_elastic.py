"""Trainings on several replicas: each fault ends in one model, and in the losses of a training on one replica."""

from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from tests.faults.driver import Driver, ended
from tests.faults.elastic import (
    EPOCHS,
    SETTINGS,
    TRAINERS,
    WITHIN_S,
    curve_of,
    publish_images,
    submit,
    told,
)
from tests.faults.start import cluster

Curve = list[tuple[float, float | None]]


@pytest.fixture(scope="module")
def trainers() -> Iterator[Driver]:
    with cluster("sqlite", TRAINERS, settings=SETTINGS) as target:
        publish_images(target.stores)
        driver = Driver(target)
        driver.wait_until_it_answers()
        yield driver
        driver.close()


@pytest.fixture(scope="module")
def alone(trainers: Driver) -> Curve:
    """The losses of one replica's training."""
    job = trainers.until(submit(trainers, "alone", most=1), ended, WITHIN_S)
    assert job.state == JobState.SUCCEEDED, job.error
    return curve_of(job)


def test_a_replica_joins_in_the_middle(trainers: Driver, alone: Curve) -> None:
    # given a training that begins alone
    trainers.cluster.processes["trainer-2"].freeze()
    job = submit(trainers, "joined")
    trainers.wait(lambda: len(told(trainers, job).epochs) >= 2, WITHIN_S)

    # when
    trainers.cluster.processes["trainer-2"].thaw()

    # then
    done = trainers.until(job, ended, WITHIN_S)
    assert done.state == JobState.SUCCEEDED, done.error
    assert told(trainers, job).epochs == list(range(1, EPOCHS + 1))
    assert {1, 2} == set(told(trainers, job).replicas)
    assert curve_of(done) == alone
