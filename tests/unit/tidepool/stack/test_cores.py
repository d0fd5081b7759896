import os
import sys
import time
from pathlib import Path

import pytest

from tidepool.errors import StackFailed
from tidepool.stack.child import Child
from tidepool.stack.components import Component
from tidepool.stack.cores import OwnCores, own_cores
from tidepool.stack.home import Home


def component(role: str, index: int = 1) -> Component:
    return Component(role=role, index=index, stage=0, command=("true",))


def cores_of(own: OwnCores, role: str, *indices: int) -> list[tuple[int, ...]]:
    return [own.pinned(component(role, index)).cores for index in indices]


def test_gateways_and_replicas_get_cores_of_their_own_and_the_rest_shares_what_is_left() -> None:
    own = own_cores(gateways=2, replicas=2, each=2, cores=range(8))

    assert cores_of(own, "gateway", 1, 2) == [(0,), (1,)]
    assert cores_of(own, "inference", 1, 2) == [(2, 3), (4, 5)]
    assert cores_of(own, "trainer", 1) == cores_of(own, "redis", 1) == [(6, 7)]


def test_replicas_that_start_later_get_cores_while_one_is_left_for_the_rest() -> None:
    own = own_cores(gateways=1, replicas=1, each=1, cores=(4, 5, 6, 7))

    assert cores_of(own, "inference", 1, 2, 3) == [(5,), (6,), (7,)]
    assert cores_of(own, "preprocess", 1) == [(7,)]


def test_too_few_cores_are_refused() -> None:
    with pytest.raises(StackFailed, match=r"needs 4 cores.*This machine has 3"):
        own_cores(gateways=1, replicas=2, each=1, cores=range(3))


def test_a_component_runs_on_its_cores_only(tmp_path: Path) -> None:
    # given a machine of which this process may use some cores
    before = os.sched_getaffinity(0)
    core = max(before)
    home = Home.at(tmp_path / "home")
    home.create()
    script = "import os; print(os.sched_getaffinity(0), flush=True)"
    command = (sys.executable, "-c", script)
    child = Child(home, Component(role="probe", stage=0, command=command, cores=(core,), once=True))

    child.start()

    deadline = time.monotonic() + 20
    while not child.state.settled:
        assert time.monotonic() < deadline
        child.check()
        time.sleep(0.02)
    assert home.log("probe").read_text().strip() == str({core})
    assert os.sched_getaffinity(0) == before
