"""The share of the machine's cores that a training uses."""

from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from services.trainer import cores
from services.trainer.cores import share_cores, use_cores


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of eight cores without a training."""
    monkeypatch.setenv("TIDEPOOL_SCRATCH", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    monkeypatch.setattr(
        torch, "set_num_threads", lambda number: monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    )


@pytest.mark.parametrize(("trainings", "threads"), [(0, 8), (1, 8), (2, 4), (3, 2), (8, 1), (9, 1)])
def test_trainings_divide_the_cores(trainings: int, threads: int) -> None:
    with ExitStack() as stack:
        for _ in range(trainings):
            stack.enter_context(share_cores())
        use_cores()

    assert torch.get_num_threads() == threads


def test_a_training_that_has_ended_leaves_its_cores_to_the_others() -> None:
    with share_cores():
        with share_cores():
            beside = torch.get_num_threads()
        use_cores()

    assert (beside, torch.get_num_threads()) == (4, 8)


def test_the_environment_can_set_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    with share_cores():
        assert torch.get_num_threads() == 3
