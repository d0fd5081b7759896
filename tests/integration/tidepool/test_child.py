"""A hung component is killed and restarted."""

import socket
from itertools import pairwise

import pytest

from contract.supervision import State
from tests.integration.tidepool.tiny_stack import SLEEP, eventually, python
from tidepool.stack import child as module
from tidepool.stack.child import Child
from tidepool.stack.processes import kill_marked
from tidepool.stack.stack import Stack

WRITE = """
import time
while True:
    print("x" * 10_000, flush=True)
    time.sleep(0.001)
"""


def state_of(child: Child) -> State:
    child.check()
    return child.state


def test_the_log_of_a_running_component_is_bounded(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a component that writes without end
    monkeypatch.setattr(module, "PROBE_INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "MAX_LOG_BYTES", 100_000)
    stack.home.create()
    log = stack.home.log("worker")
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        probe = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        child = Child(stack.home, python("worker", WRITE, probe=probe))
        child.start()

        # then its log is emptied again and again
        sizes: list[int] = []
        eventually(lambda: bool(state_of(child)) and not sizes.append(log.stat().st_size) and shrunk(sizes) >= 3)
        assert child.state is not State.RESTARTING
    kill_marked(stack.home, "worker")


def shrunk(sizes: list[int]) -> int:
    """Return how often the next size is smaller."""
    return sum(later < sooner for sooner, later in pairwise(sizes))


def test_a_component_that_stops_answering_is_killed_and_restarted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a component that answers its probe
    monkeypatch.setattr(module, "PROBE_INTERVAL_S", 0.0)
    stack.home.create()
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = Child(stack.home, python("worker", SLEEP, probe=f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        child.start()
        eventually(lambda: state_of(child) is State.READY)
        assert [state_of(child) for _ in range(5)] == [State.READY] * 5

    # when it stops answering
    eventually(lambda: state_of(child) is State.RESTARTING)

    # then it is restarted
    eventually(lambda: state_of(child) is State.STARTING)
    kill_marked(stack.home, "worker")
