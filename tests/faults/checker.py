"""Checks a history: one pure function for each guarantee, which yields its violations."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from contract.jobs import TRANSITIONS, JobState
from tests.faults.history import Event, History, Operation, Outcome

STATE_READS = {Operation.SUBMIT, Operation.CANCEL, Operation.READ, Operation.ROW, Operation.FINAL}
VIEWS = ("api", "database")
CAN_FOLLOW_CANCEL = {JobState.CANCELLED, JobState.EXPIRED}


@dataclass(frozen=True)
class Violation:
    """A broken guarantee, the job, key or version that it concerns, and how."""

    promise: str
    subject: str
    detail: str


def violations(history: History) -> list[Violation]:
    """Return all violations in a history."""
    return [violation for check in CHECKS for violation in check(history)]


def lost(history: History) -> Iterator[Violation]:
    """Accepted jobs that have not ended when the cluster is idle."""
    finals = _finals(history)
    for job in accepted(history):
        state = finals.get(job)
        if state is None or not state.terminal:
            yield Violation("no job lost", job, f"was accepted and is {state or 'gone'} at the end")


def resurrected(history: History) -> Iterator[Violation]:
    """Jobs that a later read shows in another state than the terminal one read before."""
    ends: dict[str, tuple[float, JobState]] = {}
    for event in sorted(_successful(history, *STATE_READS), key=lambda event: event.ended):
        job = event.value["job"] if event.operation == Operation.SUBMIT else event.argument
        state = JobState(event.value["state"])
        if event.operation == Operation.SUBMIT:
            continue  # a repeated submit returns the response of the first
        if job in ends and event.began > ends[job][0] and state != ends[job][1]:
            yield Violation("terminal states absorb", job, f"was {ends[job][1]}, then {state}")
        if state.terminal and job not in ends:
            ends[job] = event.ended, state


def published_twice(history: History) -> Iterator[Violation]:
    """Successes without exactly one version and versions without a success, in the API and the database."""
    finals = {event.argument: event for event in _successful(history, Operation.FINAL)}
    for view in VIEWS:
        versions = defaultdict(list)
        for event in _successful(history, Operation.VERSION):
            if event.client == view:
                versions[event.value["job"]].append(event.argument)
        for job, event in finals.items():
            expected = [event.value["reference"]] if event.value["reference"] else []
            if event.value["state"] == JobState.SUCCEEDED and not expected:
                yield Violation("published once", job, "succeeded without a reference to a version")
            if versions[job] != expected:
                yield Violation(
                    "published once", job, f"{event.value['state']}, made {expected}, {view}: {versions[job]}"
                )
        for job in versions.keys() - finals.keys():
            yield Violation("published once", job, f"the job does not exist, {view}: {versions[job]}")


def torn(history: History) -> Iterator[Violation]:
    """Versions whose bytes were changed, or were written by another attempt than the successful one."""
    fences = {event.argument: event.value["fence"] for event in _successful(history, Operation.ROW)}
    for event in _successful(history, Operation.VERSION):
        job, fence = event.value["job"], event.value["fence"]
        if not event.value["intact"]:
            yield Violation("intact", event.argument, "does not have the bytes that were written")
        if fence is not None and fence != fences.get(job, fence):
            yield Violation("fenced", job, f"published by attempt {fence}, ended under {fences[job]}")


def fence_decreased(history: History) -> Iterator[Violation]:
    """Rows whose fence decreased."""
    rows = defaultdict(list)
    for event in _successful(history, Operation.ROW):
        rows[event.argument].append(event.value["fence"])
    for job, fences in rows.items():
        for earlier, later in pairwise(fences):
            if later < earlier:
                yield Violation("fences grow", job, f"{earlier}, then {later}")


def cancel_ignored(history: History) -> Iterator[Violation]:
    """Cancelled jobs that ended in another state or published a version."""
    finals = _finals(history)
    cancelled = {event.argument for event in _successful(history, Operation.CANCEL)}
    for job in cancelled:
        if finals.get(job) not in CAN_FOLLOW_CANCEL:
            yield Violation("cancelled stays cancelled", job, f"is {finals.get(job)}")
    for event in _successful(history, Operation.VERSION):
        if event.value["job"] in cancelled:
            yield Violation("cancelled stays cancelled", event.value["job"], f"published {event.argument}")


def illegal_transitions(history: History) -> Iterator[Violation]:
    """Event streams that do not begin with queued, do not end in a terminal state, or have an illegal transition."""
    for event in _successful(history, Operation.STREAM):
        states = [JobState(state) for state in event.value["states"]]
        if not states or states[0] != JobState.QUEUED or not states[-1].terminal:
            yield Violation("transitions", event.argument, f"{states}")
        for before, after in pairwise(states):
            if after not in TRANSITIONS[before]:
                yield Violation("transitions", event.argument, f"{before} to {after}")


def epochs_repeated(history: History) -> Iterator[Violation]:
    """Event streams that report an epoch twice or out of order."""
    for event in _successful(history, Operation.STREAM):
        epochs = event.value["epochs"]
        if epochs != list(range(1, len(epochs) + 1)):
            yield Violation("epochs once", event.argument, f"{epochs}")


def accepted_twice(history: History) -> Iterator[Violation]:
    """Idempotency keys with more than one job, and jobs without a key."""
    jobs = defaultdict(set)
    for event in _successful(history, Operation.SUBMIT, Operation.KEY):
        jobs[event.argument].add(event.value["job"])
    for key, job_ids in jobs.items():
        if len(job_ids) > 1:
            yield Violation("one job a key", key, f"{sorted(job_ids)}")
    owned = set().union(*jobs.values())
    for event in _successful(history, Operation.FINAL):
        if event.argument not in owned:
            yield Violation("one job a key", event.argument, "has no key")


CHECKS: tuple[Callable[[History], Iterable[Violation]], ...] = (
    lost,
    resurrected,
    published_twice,
    torn,
    fence_decreased,
    cancel_ignored,
    illegal_transitions,
    epochs_repeated,
    accepted_twice,
)


def accepted(history: History) -> set[str]:
    """Return the jobs that were accepted in a response to a client."""
    return {event.value["job"] for event in _successful(history, Operation.SUBMIT)}


def _successful(history: History, *operations: Operation) -> Iterator[Event]:
    return (event for event in history if event.operation in operations and event.outcome == Outcome.OK)


def _finals(history: History) -> dict[str, JobState]:
    return {event.argument: JobState(event.value["state"]) for event in _successful(history, Operation.FINAL)}
