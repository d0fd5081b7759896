"""The only place that judges a history: pure functions, one for each promise, that return what broke it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from contract.jobs import TRANSITIONS, JobState
from tests.faults.history import Event, History, Operation, Outcome

SIGHTINGS = {Operation.SUBMIT, Operation.CANCEL, Operation.READ, Operation.ROW, Operation.FINAL}
VIEWS = ("api", "database")
CAN_FOLLOW_CANCEL = {JobState.CANCELLED, JobState.EXPIRED}


@dataclass(frozen=True)
class Violation:
    """A promise that was broken, for which job or key, and how."""

    promise: str
    subject: str
    detail: str


def violations(history: History) -> list[Violation]:
    """Everything that is wrong with a history; empty when every promise was kept."""
    return [violation for check in CHECKS for violation in check(history)]


def lost(history: History) -> Iterator[Violation]:
    """Accepted jobs that did not end, though nothing moves any more."""
    finals = _finals(history)
    for job in accepted(history):
        state = finals.get(job)
        if state is None or not state.terminal:
            yield Violation("kept", job, f"was accepted and is {state or 'gone'} at the end")


def resurrected(history: History) -> Iterator[Violation]:
    """Jobs that were seen in another state by somebody who asked after they had been seen to end."""
    ends: dict[str, tuple[float, JobState]] = {}
    for event in sorted(_answered(history, *SIGHTINGS), key=lambda event: event.ended):
        job = event.value["job"] if event.operation == Operation.SUBMIT else event.argument
        state = JobState(event.value["state"])
        if event.operation == Operation.SUBMIT:
            continue  # a repeated submit answers what the first one did
        if job in ends and event.began > ends[job][0] and state != ends[job][1]:
            yield Violation("terminal states absorb", job, f"was {ends[job][1]}, then {state}")
        if state.terminal and job not in ends:
            ends[job] = event.ended, state


def published_twice(history: History) -> Iterator[Violation]:
    """Successes that are not there exactly once, and versions without a success; as the API and the database say."""
    finals = {event.argument: event for event in _answered(history, Operation.FINAL)}
    for view in VIEWS:
        versions = defaultdict(list)
        for event in _answered(history, Operation.VERSION):
            if event.client == view:
                versions[event.value["job"]].append(event.argument)
        for job, event in finals.items():
            wanted = [event.value["reference"]] if event.value["reference"] else []
            if event.value["state"] == JobState.SUCCEEDED and not wanted:
                yield Violation("published once", job, "succeeded and says of nothing that it made it")
            if versions[job] != wanted:
                yield Violation(
                    "published once", job, f"{event.value['state']}, made {wanted}, {view}: {versions[job]}"
                )
        for job in versions.keys() - finals.keys():
            yield Violation("published once", job, f"nobody knows the job, {view}: {versions[job]}")


def torn(history: History) -> Iterator[Violation]:
    """Versions whose bytes are not what was written, or not of the attempt that succeeded."""
    fences = {event.argument: event.value["fence"] for event in _answered(history, Operation.ROW)}
    for event in _answered(history, Operation.VERSION):
        job, fence = event.value["job"], event.value["fence"]
        if not event.value["intact"]:
            yield Violation("intact", event.argument, "cannot be read as it was written")
        if fence is not None and fence != fences.get(job, fence):
            yield Violation("fenced", job, f"published by attempt {fence}, ended under {fences[job]}")


def fence_fell(history: History) -> Iterator[Violation]:
    """Rows whose fence became smaller."""
    rows = defaultdict(list)
    for event in _answered(history, Operation.ROW):
        rows[event.argument].append(event.value["fence"])
    for job, fences in rows.items():
        for before, after in pairwise(fences):
            if after < before:
                yield Violation("fences grow", job, f"{before}, then {after}")


def appeared_after_cancel(history: History) -> Iterator[Violation]:
    """Jobs whose cancel was answered and that ended in another way, or published."""
    finals = _finals(history)
    cancelled = {event.argument for event in _answered(history, Operation.CANCEL)}
    for job in cancelled:
        if finals.get(job) not in CAN_FOLLOW_CANCEL:
            yield Violation("cancelled stays cancelled", job, f"is {finals.get(job)}")
    for event in _answered(history, Operation.VERSION):
        if event.value["job"] in cancelled:
            yield Violation("cancelled stays cancelled", event.value["job"], f"published {event.argument}")


def illegal_transitions(history: History) -> Iterator[Violation]:
    """Event streams that do not begin with queued, or take a step that is none."""
    for event in _answered(history, Operation.STREAM):
        states = [JobState(state) for state in event.value["states"]]
        if not states or states[0] != JobState.QUEUED or not states[-1].terminal:
            yield Violation("transitions", event.argument, f"{states}")
        for before, after in pairwise(states):
            if after not in TRANSITIONS[before]:
                yield Violation("transitions", event.argument, f"{before} to {after}")


def epochs_repeated(history: History) -> Iterator[Violation]:
    """Streams that report an epoch twice, or not in order."""
    for event in _answered(history, Operation.STREAM):
        epochs = event.value["epochs"]
        if epochs != list(range(1, len(epochs) + 1)):
            yield Violation("epochs once", event.argument, f"{epochs}")


def accepted_twice(history: History) -> Iterator[Violation]:
    """Keys under which there is more than one job, and jobs under no key."""
    jobs = defaultdict(set)
    for event in _answered(history, Operation.SUBMIT, Operation.KEY):
        jobs[event.argument].add(event.value["job"])
    for key, found in jobs.items():
        if len(found) > 1:
            yield Violation("one job a key", key, f"{sorted(found)}")
    owned = set().union(*jobs.values())
    for event in _answered(history, Operation.FINAL):
        if event.argument not in owned:
            yield Violation("one job a key", event.argument, "belongs to no key")


CHECKS: tuple[Callable[[History], Iterable[Violation]], ...] = (
    lost,
    resurrected,
    published_twice,
    torn,
    fence_fell,
    appeared_after_cancel,
    illegal_transitions,
    epochs_repeated,
    accepted_twice,
)


def accepted(history: History) -> set[str]:
    """The jobs that a client was told were accepted."""
    return {event.value["job"] for event in _answered(history, Operation.SUBMIT)}


def _answered(history: History, *operations: Operation) -> Iterator[Event]:
    return (event for event in history if event.operation in operations and event.outcome == Outcome.OK)


def _finals(history: History) -> dict[str, JobState]:
    return {event.argument: JobState(event.value["state"]) for event in _answered(history, Operation.FINAL)}
