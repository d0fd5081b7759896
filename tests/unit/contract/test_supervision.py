from contract.supervision import State


def test_ready_ended_and_undesired_components_are_settled() -> None:
    waited_for = [State.WAITING, State.STARTING, State.RESTARTING, State.FAILED]
    assert [state for state in State if not state.settled] == waited_for
