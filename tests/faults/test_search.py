"""A search on two trainers, of which those are killed that run a trial and that publish its best model."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.jobs import EventKind, Job, JobState
from contract.references import Reference
from tests.faults.cluster import SERVICES, Replica
from tests.faults.driver import TIMEOUT_S, Driver, ended
from tests.faults.nemesis import age_leases
from tests.faults.resumption import prepared
from tests.faults.start import cluster

pytestmark = pytest.mark.chaos

EPOCHS = 4
RATES = {"low": 0.03, "high": 0.1, "log": True}
SEARCH = {"trials": 4, "parallel": 2, "early_stop": "none", "ensemble": 3, "over": {"optimizer.lr": RATES}}
SECOND = Replica("trainer-2", ("services.trainer.main",))


def test_a_search_whose_replicas_are_killed_publishes_one_model() -> None:
    with cluster("sqlite", (*SERVICES, SECOND)) as target:
        driver = Driver(target)
        driver.wait_until_it_answers()
        spec = {"dataset": prepared(driver), "model": "net", "epochs": EPOCHS, "batch_size": 8, "search": SEARCH}
        job = driver.post("/v1/jobs", json={"kind": "train", "spec": spec})

        # when a replica dies in the middle of a trial, and the one that publishes the best model, too
        driver.wait(lambda: any(_epochs(driver, trial) for trial in _trials(driver, job)), 2 * TIMEOUT_S)
        trial = next(trial for trial in _trials(driver, job) if _epochs(driver, trial) and not trial.state.terminal)
        driver.holder(trial).kill()
        age_leases(target, living=False)
        driver.wait(lambda: _all_have_ended(driver, job), 4 * TIMEOUT_S)
        driver.wait(lambda: driver.job(job).progress.message == "saving the model", TIMEOUT_S)
        driver.holder(job).kill()
        age_leases(target, living=False)
        done = driver.until(job, ended, 2 * TIMEOUT_S)

        # then there is one version with all trials, and every epoch was reported once
        assert done.state == JobState.SUCCEEDED, done.error
        assert done.result is not None
        assert [trial["state"] for trial in done.result["study"]["trials"]] == ["complete"] * 4
        assert target.stores.of(DEFAULT_PROJECT).models.named("net").versions == (1,)
        assert [_epochs(driver, trial) for trial in _trials(driver, job)] == [list(range(1, EPOCHS + 1))] * 4
        assert target.stores.of(DEFAULT_PROJECT).models.manifest(Reference(name="net"))[1].study is not None
        driver.close()


def _trials(driver: Driver, job: Job) -> list[Job]:
    return [child.job for child in driver.cluster.stores.children.of(job.id)]


def _all_have_ended(driver: Driver, job: Job) -> bool:
    trials = _trials(driver, job)
    return len(trials) == SEARCH["trials"] and all(trial.state.terminal for trial in trials)


def _epochs(driver: Driver, trial: Job) -> list[int]:
    events = driver.cluster.stores.of(DEFAULT_PROJECT).events.after(trial.id, 0)
    return [event.data["epoch"] for event in events if event.kind == EventKind.METRICS]
