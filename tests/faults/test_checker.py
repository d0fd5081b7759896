"""The checker on hand-made histories, good and bad."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.checker import violations
from tests.faults.history import Event, History, Operation, Outcome, Recorder, load

SUCCESS = {"state": "succeeded", "reference": "datasets pets@1"}


def event(operation: Operation, argument: str, at: float, client: str = "api", **value: object) -> Event:
    return Event(at, at + 0.5, client, operation, argument, Outcome.OK, dict(value))


def good() -> History:
    """A job that succeeds in its second attempt, and a cancelled one."""
    return [
        event(Operation.SUBMIT, "key-1", 0, job="a", state="queued"),
        event(Operation.SUBMIT, "key-1", 1, job="a", state="queued"),
        Event(1, 2, "client", Operation.SUBMIT, "key-2", Outcome.UNKNOWN),
        event(Operation.SUBMIT, "key-2", 3, job="b", state="queued"),
        event(Operation.ROW, "a", 4, "database", state="running", fence=1),
        event(Operation.CANCEL, "b", 5, state="running"),
        event(Operation.READ, "a", 6, state="running"),
        event(Operation.ROW, "a", 7, "database", state="succeeded", fence=2),
        event(Operation.ROW, "b", 8, "database", state="cancelled", fence=1),
        event(Operation.READ, "a", 9, state="succeeded"),
        event(Operation.FINAL, "a", 20, **SUCCESS),
        event(Operation.FINAL, "b", 20, state="cancelled", reference=None),
        event(Operation.STREAM, "a", 21, states=["queued", "running", "running", "succeeded"], epochs=[1, 2, 3]),
        event(Operation.STREAM, "b", 21, states=["queued", "running", "cancelled"], epochs=[]),
        event(Operation.VERSION, "datasets pets@1", 22, job="a", fence=None, intact=True),
        event(Operation.VERSION, "datasets pets@1", 22, "database", job="a", fence=2, intact=True),
        event(Operation.KEY, "key-1", 23, "database", job="a"),
        event(Operation.KEY, "key-2", 23, "database", job="b"),
    ]


def changed(history: History, operation: Operation, argument: str, client: str = "api", **value: object) -> History:
    """Return the history with other values in the last such event."""
    last = [e for e in history if (e.operation, e.argument, e.client) == (operation, argument, client)][-1]
    return [replace(e, value=e.value | value) if e is last else e for e in history]


def without(history: History, operation: Operation, argument: str, client: str = "api") -> History:
    return [e for e in history if (e.operation, e.argument, e.client) != (operation, argument, client)]


def broken(history: History) -> set[str]:
    return {violation.promise for violation in violations(history)}


def test_a_good_history_has_no_violations() -> None:
    assert violations(good()) == []


@pytest.mark.parametrize(
    ("bad", "promise"),
    [
        (changed(good(), Operation.FINAL, "b", state="running"), "no job lost"),
        (without(good(), Operation.FINAL, "b"), "no job lost"),
        (changed(good(), Operation.FINAL, "a", state="failed"), "terminal states absorb"),
        ([*good(), event(Operation.READ, "a", 12, state="running")], "terminal states absorb"),
        (without(good(), Operation.VERSION, "datasets pets@1"), "published once"),
        (without(good(), Operation.VERSION, "datasets pets@1", "database"), "published once"),
        (
            [*good(), event(Operation.VERSION, "datasets pets@2", 22, job="a", fence=None, intact=True)],
            "published once",
        ),
        (
            [*good(), event(Operation.VERSION, "datasets pets@2", 22, job="c", fence=None, intact=True)],
            "published once",
        ),
        (changed(good(), Operation.FINAL, "a", reference=None), "published once"),
        (changed(good(), Operation.VERSION, "datasets pets@1", "database", intact=False), "intact"),
        (changed(good(), Operation.VERSION, "datasets pets@1", "database", fence=1), "fenced"),
        (changed(good(), Operation.ROW, "a", "database", fence=0), "fences grow"),
        (changed(good(), Operation.FINAL, "b", state="failed"), "cancelled stays cancelled"),
        (
            [*good(), event(Operation.VERSION, "datasets pets@2", 22, job="b", fence=None, intact=True)],
            "cancelled stays cancelled",
        ),
        (changed(good(), Operation.STREAM, "b", states=["queued", "failed"]), "transitions"),
        (changed(good(), Operation.STREAM, "b", states=["running", "cancelled"]), "transitions"),
        (changed(good(), Operation.STREAM, "b", states=["queued", "running"]), "transitions"),
        (changed(good(), Operation.STREAM, "a", epochs=[1, 2, 2]), "epochs once"),
        (changed(good(), Operation.STREAM, "a", epochs=[1, 3]), "epochs once"),
        (changed(good(), Operation.KEY, "key-1", "database", job="c"), "one job a key"),
        ([*good(), event(Operation.FINAL, "c", 20, state="failed", reference=None)], "one job a key"),
    ],
)
def test_a_bad_history_violates_the_guarantee(bad: History, promise: str) -> None:
    assert promise in broken(bad)


def test_a_read_that_began_before_the_end_may_return_an_earlier_state() -> None:
    # given a read that began before the end was read, and returned after
    late = Event(7, 30, "client", Operation.READ, "a", Outcome.OK, {"state": "running"})

    assert violations([*good(), late]) == []


def test_a_history_is_loaded_as_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "history.jsonl")
    first = recorder.note("client", Operation.READ, "a", {"state": "queued"})
    second = recorder.call("client", Operation.CANCEL, "a", lambda: (Outcome.UNKNOWN, {}))

    assert load(tmp_path / "history.jsonl") == [first, second]
