"""The share of the machine's cores that a training uses."""

import errno
import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from contract import control_groups
from contract.control_groups import Limits
from services.trainer.cores import FOLDER, share_cores, use_cores
from tests.support.deployment import compose

EIGHT = set(range(8))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of eight cores without a training."""
    monkeypatch.setenv("TIDEPOOL_SCRATCH", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: EIGHT)
    monkeypatch.setattr(
        torch, "set_num_threads", lambda number: monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    )


@pytest.fixture
def trainings() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(("count", "threads"), [(0, 8), (1, 8), (2, 4), (3, 2), (8, 1), (9, 1)])
def test_trainings_divide_the_cores(count: int, threads: int, trainings: ExitStack) -> None:
    for _ in range(count):
        trainings.enter_context(share_cores())
    use_cores()

    assert torch.get_num_threads() == threads


def test_a_training_that_has_ended_leaves_its_cores_to_the_others() -> None:
    with share_cores():
        with share_cores():
            beside = torch.get_num_threads()
        use_cores()

    assert (beside, torch.get_num_threads()) == (4, 8)


def test_a_training_that_is_killed_leaves_its_cores(tmp_path: Path, trainings: ExitStack) -> None:
    (tmp_path / FOLDER).mkdir()
    file = tmp_path / FOLDER / "0"
    file.write_text("[0, 1]")
    script = f"exec {{file}}>>'{file}'; flock $file; echo locked; exec sleep 60"
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        trainings.enter_context(share_cores())
        beside = torch.get_num_threads()
        other.kill()
    use_cores()

    assert (beside, torch.get_num_threads()) == (4, 8)


@pytest.mark.parametrize(("quota", "count", "threads"), [(2.0, 1, 2), (2.0, 3, 2), (2.0, 8, 1), (0.5, 1, 1)])
def test_a_container_uses_no_more_than_its_limit(
    quota: float, count: int, threads: int, trainings: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_groups, "limits", lambda: Limits(cores=quota))
    for _ in range(count):
        trainings.enter_context(share_cores())

    assert torch.get_num_threads() == threads


def test_trainers_of_compose_share_the_folder() -> None:
    assert f"trainings:/scratch/{FOLDER}" in compose()["services"]["trainer"]["volumes"]


def test_trainings_on_other_cores_do_not_count(trainings: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings.enter_context(share_cores())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {8, 9, 10})
    trainings.enter_context(share_cores())

    assert torch.get_num_threads() == 3


def test_without_locks_a_training_uses_all_cores(trainings: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: int) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    for _ in range(2):
        trainings.enter_context(share_cores())

    assert torch.get_num_threads() == 8


def test_the_environment_can_set_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    with share_cores():
        assert torch.get_num_threads() == 3
