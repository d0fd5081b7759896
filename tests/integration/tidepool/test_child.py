"""A component that lives but hangs is killed, and started again like any that died."""

import socket

import pytest

from contract.supervision import State
from tests.integration.tidepool.tiny_stack import SLEEP, eventually, python
from tidepool.stack import child as module
from tidepool.stack.child import Child
from tidepool.stack.processes import kill_marked
from tidepool.stack.stack import Stack


def state_of(child: Child) -> State:
    child.look()
    return child.state


def test_a_component_that_does_not_answer_any_more_is_killed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a component that has answered
    monkeypatch.setattr(module, "PROBE_EVERY", 0.0)
    stack.home.create()
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = Child(stack.home, python("worker", SLEEP, probe=f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        child.start()
        eventually(lambda: state_of(child) is State.READY)
        assert [state_of(child) for _ in range(5)] == [State.READY] * 5

    # when it is silent from then on
    eventually(lambda: state_of(child) is State.RESTARTING)

    # then it starts again
    eventually(lambda: state_of(child) is State.STARTING)
    kill_marked(stack.home, "worker")
