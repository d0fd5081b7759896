"""Trainings on several replicas: each fault ends in one model, and in the losses of a training on one replica."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from contract.access import DEFAULT_PROJECT
from contract.jobs import Job, JobState
from services.storage.tables import jobs
from tests.faults.cut import cut_off
from tests.faults.driver import Driver, ended
from tests.faults.elastic import (
    CAN_CUT,
    EPOCHS,
    SETTINGS,
    TRAINERS,
    WITHIN_S,
    curve_of,
    helpers,
    publish_images,
    submit,
    told,
)
from tests.faults.nemesis import age_leases
from tests.faults.process import RestartedProcess
from tests.faults.start import cluster

pytestmark = pytest.mark.chaos
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


@pytest.fixture
def driver(trainers: Driver) -> Iterator[Driver]:
    yield trainers
    trainers.cluster.heal()
    trainers.wait(lambda: all(process.running() for process in trainers.cluster.processes.values()))
    trainers.wait(lambda: not helpers(trainers.cluster), WITHIN_S)


def test_a_replica_joins_in_the_middle(driver: Driver, alone: Curve) -> None:
    # given a training that begins alone
    driver.cluster.processes["trainer-2"].freeze()
    job = submit(driver, "joined")
    driver.wait(lambda: len(told(driver, job).epochs) >= 2, WITHIN_S)

    # when
    driver.cluster.processes["trainer-2"].thaw()

    # then
    finish(driver, job, alone)
    assert set(told(driver, job).replicas) == {1, 2}
    assert any("a replica joined" in line for line in told(driver, job).lines)


def test_a_replica_that_is_killed_or_frozen_is_left_behind(driver: Driver, alone: Curve) -> None:
    for lose in (RestartedProcess.pause, RestartedProcess.freeze):
        # given two replicas
        job = both_train(driver, lose.__name__)

        # when one is lost
        (helper,) = helpers(driver.cluster)
        lose(helper)

        # then the other goes on
        finish(driver, job, alone)
        assert told(driver, job).replicas[-1] == 1
        assert any("a replica left" in line for line in told(driver, job).lines)
        driver.cluster.heal()
        driver.wait(helper.running)


@pytest.mark.skipif(not CAN_CUT, reason="cutting a connection needs root and iptables")
def test_replicas_go_on_when_the_network_between_them_is_cut(driver: Driver, alone: Curve) -> None:
    # given
    job = both_train(driver, "cut")
    servers = [driver.cluster.proxies[name].port for name in ("redis", "s3")]

    # when neither reaches the other, though both reach the servers
    with cut_off(servers):
        done = finish(driver, job, alone)

    # then the one with the lease has gone on alone
    assert done.attempt == 1
    assert told(driver, job).replicas[-1] == 1


def test_another_replica_leads_when_the_leader_has_died(driver: Driver, alone: Curve) -> None:
    job = both_train(driver, "led")
    leader = driver.holder(job)

    leader.pause()
    age_leases(driver.cluster, living=False)

    assert finish(driver, job, alone).attempt == 2


def test_a_leader_that_drains_hands_over_without_a_failure(driver: Driver, alone: Curve) -> None:
    job = both_train(driver, "drained")

    driver.holder(job).terminate(within_s=60)

    assert finish(driver, job, alone).attempt == 1


def test_a_training_at_zero_replicas_goes_on_when_there_are_some_again(driver: Driver, alone: Curve) -> None:
    job = both_train(driver, "zero")

    for worker in driver.cluster.workers:
        worker.terminate(within_s=60)
    for worker in driver.cluster.workers:
        worker.resume()

    assert finish(driver, job, alone).attempt == 1


def test_replicas_leave_a_training_that_was_cancelled_or_is_too_late(driver: Driver) -> None:
    for name, end in (("cancelled", driver.cancel), ("expired", lambda job: age_deadline(driver, job))):
        job = both_train(driver, name)

        end(job)

        assert driver.until(job, ended, WITHIN_S).state == JobState(name)
        driver.wait(lambda: not helpers(driver.cluster), WITHIN_S)
        assert name not in published(driver)


def both_train(driver: Driver, model: str) -> Job:
    """Submit a training, and wait for an epoch that two replicas have computed."""
    job = submit(driver, model, epochs=EPOCHS)
    driver.wait(lambda: 2 in told(driver, job).replicas, WITHIN_S)
    return job


def finish(driver: Driver, job: Job, alone: Curve) -> Job:
    """Wait for the end: one model, every epoch reported once, and the losses of one replica, bit for bit."""
    done = driver.until(job, ended, WITHIN_S)
    assert done.state == JobState.SUCCEEDED, done.error
    assert told(driver, job).epochs == list(range(1, EPOCHS + 1))
    assert curve_of(done) == alone
    assert published(driver).count(str(job.spec["model"])) == 1
    return done


def published(driver: Driver) -> list[str]:
    """Return the name of each model version."""
    items = driver.cluster.stores.of(DEFAULT_PROJECT).models.list(100).items
    return [model.name for model in items for _ in model.versions]


def age_deadline(driver: Driver, job: Job) -> None:
    """Let the deadline of a job pass."""
    stores = driver.cluster.stores
    with stores.database.write() as connection:
        past = {"deadline_at": stores.database.now() - timedelta(seconds=1)}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(past))
