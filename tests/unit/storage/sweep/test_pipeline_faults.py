"""Runs of pipelines when something is broken: the process dies, a quota is used up, runs fail."""

import copy
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from contract.pipelines import RunState, When
from contract.projects import ProjectChange
from services.storage.database import Database
from services.storage.sweep.pipeline_metrics import FAILURES, SUCCESS_AGE, show_pipelines
from services.storage.sweep.pipelines import PipelineRunner
from tests.examples import TRAIN_REQUEST
from tests.support.clock import FakeClock
from tests.support.comparisons import EVEN
from tests.support.killed import Killed
from tests.support.pipelines import CATS, PipelineWorld, with_pipeline


def test_a_run_waits_for_the_projects_quota_and_tries_each_minute(world: PipelineWorld, clock: FakeClock) -> None:
    world.review(1)
    world.all_stores.projects.change("default", ProjectChange.model_validate({"quotas": {"live_jobs": 1}}))
    world.stores.jobs.create(TRAIN_REQUEST)

    world.begin()
    assert (world.run.state, world.run.step) == (RunState.RUNNING, "start")
    assert world.run.reason.startswith("waits: ")

    world.finish("train", CATS)
    world.runner.advance()
    assert world.run.step == "start"
    clock.tick(60)
    world.runner.advance()
    assert world.run.step == "revise"


def test_a_step_that_the_process_cannot_take_fails_the_run(
    world: PipelineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(world.signals, "labels", broken)

    world.begin()

    assert world.run.reason == "the storage process failed; its log says why"


def test_metrics_count_failures_since_the_last_success(world: PipelineWorld, clock: FakeClock) -> None:
    world.run_through(EVEN)
    clock.tick(60)
    for _ in range(2):
        world.review(1)
        world.begin()
        world.stores.jobs.cancel(str(world.run.revise_job))
        world.runner.advance()

    show_pipelines(world.database)

    assert FAILURES.labels("nightly")._value.get() == 2
    assert SUCCESS_AGE.labels("nightly")._value.get() == 60


def kill(database: Database, number: int, *, committed: bool) -> None:
    """End the process at its transaction of this number, before or after the commit."""
    count, write = itertools.count(), database.write

    @contextmanager
    def killing() -> Iterator[Connection]:
        this = next(count)
        with write() as connection:
            yield connection
            if this == number and not committed:
                raise Killed
        if this == number:
            raise Killed

    database.write = killing  # type: ignore[method-assign]


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_a_process_that_dies_loses_and_doubles_nothing(clock: FakeClock, number: int, committed: bool) -> None:
    # given a process that dies in one of the five transactions of a run
    world = with_pipeline(clock, when=When(labels=1))
    world.review(1)
    dying = copy.copy(world.database)
    kill(dying, number, committed=committed)
    killed = []

    def act() -> None:
        """Start and advance runs in the process that dies, and in the next one."""
        try:
            runner = PipelineRunner(dying, world.signals)
            runner.start_due()
            runner.advance()
        except Killed:
            killed.append(number)
        world.runner.start_due()
        world.runner.advance()

    # when it runs through
    for step in (lambda: None, world.revise, world.train, world.evaluate):
        step()
        act()

    # then there is one job and one version of each
    assert killed == [number]
    assert world.kinds() == ["revise", "train", "evaluate"]
    assert (world.run.state, world.production) == (RunState.PROMOTED, {2: 100})
    assert len(world.stores.pipelines.runs("nightly", 10).items) == 1
