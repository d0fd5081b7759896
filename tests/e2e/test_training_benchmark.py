"""The training benchmark prepares a data set once, and measures in processes of their own."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.training import runner as runner_module
from benchmarks.training.datasets import DATA_SETS, Generated
from benchmarks.training.drawings import shape
from benchmarks.training.log import Log
from benchmarks.training.rows import Row
from benchmarks.training.runner import Runner

pytestmark = pytest.mark.slow

SPEC: dict[str, Any] = {"architecture": {"name": "mlp"}, "epochs": 1, "batch_size": 8}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATA_SETS, "dots", Generated(("circle", "triangle"), shape, (8, 2, 2)))
        patch.setattr(runner_module, "ROUNDS", 1)
        yield Runner(folder, folder, Log(folder / "training.jsonl"))


def test_a_training_goes_through_the_real_handlers(runner: Runner) -> None:
    line = runner.run(Row("dots", "small", "dots", "a layer", SPEC), seed=1)
    assert line["prepared"]["counts"] == {"train": 16, "val": 4, "test": 4}
    assert line["prepared"]["shape"] == [3, 64, 64]
    assert [what for what, *_ in line["prepared"]["decisions"]] == ["image.mode", "image.size", "image.resize"]
    assert 0 <= line["test"] <= 100
    assert line["seconds"] >= line["loop_s"] > 0
    assert line["memory_mib"] > 50


def test_both_loops_are_measured_in_turn(runner: Runner) -> None:
    line = runner.run(Row("dots", "small", "dots", "a layer", SPEC, measure="overhead"), seed=0)
    assert (len(line["loop_s"]), len(line["bare_s"])) == (1, 1)


def test_a_training_that_fails_is_a_line_with_an_error(runner: Runner) -> None:
    line = runner.run(Row("dots", "small", "dots", "a layer", SPEC | {"epochs": 0}), seed=0)
    assert line["error"] == "its process exited with status 1; its output says why"


def test_a_row_without_the_time_that_it_follows_fails(runner: Runner) -> None:
    line = runner.run(Row("dots", "small", "dots", "a layer", SPEC, follows="keras"), seed=0)
    assert line["error"] == "keras has no time to give as the budget"


def test_the_files_of_a_data_set_can_be_deleted(runner: Runner) -> None:
    folder, _ = runner.prepared(Row("dots", "small", "dots", "a layer", SPEC))
    runner.forget("dots")
    assert not folder.exists()
