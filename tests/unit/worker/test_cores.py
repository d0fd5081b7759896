"""The cores that a process may use."""

import os

import pytest

from contract.control_groups import Limits
from worker import cores
from worker.cores import available_cores


@pytest.mark.parametrize(("quota", "usable"), [(None, 6), (64.0, 6), (4.0, 4), (2.5, 2), (0.5, 1)])
def test_the_limit_of_a_container_counts(quota: float | None, usable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(cores, "limits", lambda: Limits(cores=quota))

    assert available_cores() == usable
