"""How long clients noticed a fault, from histories written by hand; the faults themselves are `make chaos-ha`."""

from tests.faults.ha.recovery import recovery_by_fault, table
from tests.faults.history import Event, Operation, Outcome


def submit(began: float, ended: float, outcome: Outcome = Outcome.OK, client: str = "probe") -> Event:
    return Event(began, ended, client, Operation.SUBMIT, f"key-{began}", outcome)


def fault(name: str, began: float) -> Event:
    return Event(began, began + 1, "nemesis", Operation.FAULT, name, Outcome.OK)


def test_a_fault_is_over_when_submits_succeed_for_good() -> None:
    history = [
        submit(9, 9.5),
        fault("cut", 10),
        submit(10.2, 10.4),  # accepted before anything noticed
        submit(11, 16, Outcome.UNKNOWN),
        submit(12, 12.5, client="client-1"),  # not the probe's
        submit(17, 17.5),
        submit(18, 19, Outcome.UNKNOWN),
        submit(20, 20.5),
        fault("kill", 30),
        submit(31, 31.5),
        fault("cut", 40),
        submit(41, 42, Outcome.UNKNOWN),
        submit(43, 44),
    ]

    times = recovery_by_fault(history)

    assert times == {"cut": [10.5, 4.0], "kill": [0.0]}
    assert "2 × cut: median 7.2 s, max 10.5 s" in table(times)
    assert table(times).endswith("submits accepted again after 4.0 s (median), 10.5 s (p99)")


def test_a_fault_that_no_submit_survived_lasted_until_the_next_one() -> None:
    history = [fault("cut", 10), submit(11, 12, Outcome.UNKNOWN), fault("kill", 20), submit(21, 22)]

    assert recovery_by_fault(history) == {"cut": [10.0], "kill": [0.0]}
