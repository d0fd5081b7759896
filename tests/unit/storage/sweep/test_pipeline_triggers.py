"""What starts runs of pipelines, and what there is of them at once."""

from datetime import timedelta

import pytest

from contract.errors import BadDataset, Conflict, NotFound
from contract.pipelines import RunState, When
from services.storage.people.pipelines import MOST
from tests.support.clock import FakeClock
from tests.support.comparisons import WORSE
from tests.support.pipelines import REQUEST, PipelineWorld, with_pipeline

DAY_S = 86400.0


def test_drift_starts_a_run_a_day_which_trains_without_new_labels(clock: FakeClock) -> None:
    world = with_pipeline(clock, when=When(drift=True))
    assert world.runner.start_due() == 0
    world.signals.drift = True
    clock.tick(600)

    assert world.runner.start_due() == 1
    world.runner.advance()
    assert (world.run.trigger, world.run.step, world.run.labels) == ("drift", "train", 0)
    world.train()
    world.runner.advance()
    world.evaluate(WORSE)
    world.runner.advance()

    clock.tick(DAY_S / 2)
    assert world.runner.start_due() == 0
    clock.tick(DAY_S / 2)
    assert world.runner.start_due() == 1


def test_so_many_new_labels_start_a_run_and_a_failed_one_waits_for_as_many_again(clock: FakeClock) -> None:
    world = with_pipeline(clock, when=When(labels=3))
    world.review(2)
    assert world.runner.start_due() == 0
    world.review(1)
    assert world.runner.start_due() == 1
    assert world.runner.start_due() == 0  # one run at once
    world.runner.advance()
    claim = world.all_stores.leases.claim("revise", "worker")
    assert claim is not None
    world.all_stores.leases.fail(claim.lease, BadDataset("the archive of pets@1 is damaged; upload it again"))
    world.runner.advance()

    run = world.run
    assert run.state is RunState.FAILED
    assert run.reason == (
        f"the revise job {run.revise_job} did not succeed: the archive of pets@1 is damaged; upload it again"
    )
    clock.tick(60)
    assert world.runner.start_due() == 0
    world.review(3)
    assert world.runner.start_due() == 1
    world.runner.advance()
    assert world.run.labels == 6


def test_missed_times_run_once_and_a_pause_leaves_them_out(clock: FakeClock) -> None:
    # given a pipeline that runs at 03:00
    world = with_pipeline(clock, when=When(cron="0 3 * * *"))
    pipelines = world.stores.pipelines
    assert pipelines.get("nightly").schedule == "At 03:00 every day"
    assert world.runner.start_due() == 0

    # when nobody looked for five days
    clock.tick(5 * DAY_S)
    assert world.runner.start_due() == 1
    world.runner.advance()

    # then it runs once
    assert world.run.state is RunState.UNCHANGED
    assert world.runner.start_due() == 0
    following = pipelines.get("nightly").next_run_at
    assert following is not None
    assert timedelta() < following - clock.now <= timedelta(days=1)

    # and what passes during a pause does not run
    assert pipelines.pause("nightly", True).next_run_at is None
    clock.tick(5 * DAY_S)
    assert world.runner.start_due() == 0
    assert pipelines.pause("nightly", False).next_run_at == following + timedelta(days=5)
    assert world.runner.start_due() == 0


def test_deleting_a_pipeline_cancels_its_job(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    job = str(world.run.revise_job)

    world.stores.pipelines.delete("nightly")

    assert world.stores.jobs.get(job).state == "cancelled"
    assert world.runner.advance() == 0
    with pytest.raises(NotFound):
        world.stores.pipelines.get("nightly")


def test_a_pipeline_has_one_run_at_once(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()

    with pytest.raises(Conflict, match="has one run at once"):
        world.stores.pipelines.start("nightly")


def test_a_project_has_so_many_pipelines(world: PipelineWorld) -> None:
    for number in range(MOST - 1):
        world.stores.pipelines.create(REQUEST.model_copy(update={"name": f"p{number}"}))

    with pytest.raises(Conflict, match="at most 50 pipelines"):
        world.stores.pipelines.create(REQUEST.model_copy(update={"name": "more"}))
