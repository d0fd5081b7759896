"""How long clients noticed each fault, computed from a history."""

import statistics
from collections import defaultdict
from collections.abc import Mapping

from tests.faults.history import History, Operation, Outcome

PROBE = "probe"


def recovery_by_fault(history: History) -> Mapping[str, list[float]]:
    """Return, by fault, the seconds from each one until submits succeeded again for good; 0 if none failed.

    A fault counts until the next one begins.
    """
    submits = sorted(
        (event for event in history if event.client == PROBE and event.operation == Operation.SUBMIT),
        key=lambda event: event.began,
    )
    events = [event for event in history if event.operation == Operation.FAULT and event.outcome == Outcome.OK]
    ends = [later.began for later in events[1:]] + [float("inf")]
    times = defaultdict(list)
    for fault, end in zip(events, ends, strict=True):
        during = [event for event in submits if event.ended >= fault.began and event.began < end]
        failed = [index for index, event in enumerate(during) if event.outcome != Outcome.OK]
        after = during[failed[-1] + 1 :] if failed else []
        times[fault.argument].append(
            after[0].ended - fault.began if after else 0.0 if not failed else end - fault.began
        )
    return times


def table(times: Mapping[str, list[float]]) -> str:
    """Return a line for each fault, and one for all."""
    every = sorted(seconds for values in times.values() for seconds in values)
    lines = [
        f"  {len(values):3} × {name}: median {statistics.median(values):.1f} s, max {max(values):.1f} s"
        for name, values in sorted(times.items())
    ]
    if every:
        p99 = every[min(len(every) - 1, round(0.99 * (len(every) - 1)))]
        lines.append(f"submits accepted again after {statistics.median(every):.1f} s (median), {p99:.1f} s (p99)")
    return "\n".join(lines)
