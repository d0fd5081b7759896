"""Two storage processes run pipelines at the same time, on both databases."""

import pytest

from contract.pipelines import RunState, When
from services.storage.database import Database
from services.storage.sweep.pipelines import PipelineRunner
from tests.integration.storage.steps import together
from tests.support.pipelines import REQUEST, PipelineWorld


@pytest.fixture
def world(database: Database) -> PipelineWorld:
    return PipelineWorld(database, REQUEST.model_copy(update={"when": When(labels=1, cron="* * * * *")}))


def test_two_processes_take_each_step_once(world: PipelineWorld) -> None:
    runners = [PipelineRunner(world.database, world.signals) for _ in range(2)]
    world.review(1)
    assert sum(together(2, lambda index: runners[index].start_due())) == 1

    for step in (lambda: None, world.revise, world.train, world.evaluate):
        step()
        assert sum(together(2, lambda index: runners[index].advance())) == 1

    assert world.kinds() == ["revise", "train", "evaluate"]
    assert (world.run.state, world.production) == (RunState.PROMOTED, {2: 100})
    assert len(world.stores.pipelines.runs("nightly", 10).items) == 1


def test_a_pipeline_that_is_deleted_while_a_process_advances_it_leaves_no_live_job(world: PipelineWorld) -> None:
    world.review(1)
    world.stores.pipelines.start("nightly")

    def act(index: int) -> None:
        if index:
            world.runner.advance()
        else:
            world.stores.pipelines.delete("nightly")

    together(2, act)

    assert {str(job.state) for job in world.jobs()} <= {"cancelled"}
