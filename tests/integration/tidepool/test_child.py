"""A hung component is killed and restarted."""

import socket

import pytest

from contract.supervision import State
from tests.integration.tidepool.tiny_stack import SLEEP, eventually, python
from tidepool.stack import child as module
from tidepool.stack.child import Child
from tidepool.stack.processes import kill_marked
from tidepool.stack.stack import Stack


def state_of(child: Child) -> State:
    child.check()
    return child.state


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
