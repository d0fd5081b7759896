from contract.supervision import State


def test_nobody_waits_for_what_is_ready_over_or_not_wanted() -> None:
    waited_for = [State.WAITING, State.STARTING, State.RESTARTING, State.FAILED]
    assert [state for state in State if not state.settled] == waited_for
