"""The numbers of a run, computed from its history."""

import statistics
from collections import Counter
from dataclasses import dataclass

from contract.jobs import JobState
from tests.faults.checker import Violation, accepted, violations
from tests.faults.history import History, Operation, Outcome


@dataclass(frozen=True)
class Report:
    """`recovery` is the seconds from a worker's kill -9 until its job runs under a new fence or has ended."""

    submitted: int
    ends: Counter[JobState]
    faults: Counter[str]
    recovery: tuple[float, ...]
    broken: tuple[Violation, ...]

    @classmethod
    def of(cls, history: History) -> "Report":
        successful = [event for event in history if event.outcome == Outcome.OK]
        return cls(
            submitted=len(accepted(history)),
            ends=Counter(JobState(event.value["state"]) for event in successful if event.operation == Operation.FINAL),
            faults=Counter(event.argument for event in successful if event.operation == Operation.FAULT),
            recovery=tuple(recovery_times(history)),
            broken=tuple(violations(history)),
        )

    def broken_of(self, promise: str) -> int:
        return sum(violation.promise == promise for violation in self.broken)

    def __str__(self) -> str:
        lines = [f"jobs accepted {self.submitted}; " + ", ".join(f"{n} {state}" for state, n in self.ends.items())]
        lines += [f"lost {self.broken_of('no job lost')}, published twice {self.broken_of('published once')}"]
        if self.recovery:
            median, worst = statistics.median(self.recovery), max(self.recovery)
            lines += [f"recovery after kill -9: {len(self.recovery)} jobs, p50 {median:.1f} s, max {worst:.1f} s"]
        lines += [f"faults {self.faults.total()}: " + ", ".join(f"{n} {name}" for name, n in self.faults.items())]
        lines += [f"BROKEN {violation}" for violation in self.broken]
        return "\n".join(lines)


def recovery_times(history: History) -> list[float]:
    """Return, for every row that a killed worker held, the seconds until it had a higher fence or had ended.

    Rows that a client cancelled in the meantime are left out.
    """
    times = []
    rows = [event for event in history if event.operation == Operation.ROW]
    kills = [event for event in history if event.operation == Operation.FAULT and event.outcome == Outcome.OK]
    for kill in kills:
        for job, fence in kill.value["jobs"].items():
            after = (row for row in rows if row.argument == job and row.began > kill.ended)
            moved = (row for row in after if row.value["fence"] > fence or JobState(row.value["state"]).terminal)
            recovered = next(moved, None)
            if recovered is not None and recovered.value["state"] != JobState.CANCELLED:
                times.append(recovered.ended - kill.ended)
    return times
