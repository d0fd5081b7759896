"""The report of `tidepool simulate` as data."""

from typing import Self

from contract.base import Frozen
from contract.pools import ScalingPolicy
from scaling.simulation.outcome import Outcome


class StudyRow(Frozen):
    """One way to provision a pool and its result; a wait is None if too many requests were dropped to reach it."""

    name: str
    min: int
    max: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    in_time: float | None
    dropped: int
    replica_hours: float
    cost: float

    @classmethod
    def of(cls, name: str, policy: ScalingPolicy, outcome: Outcome, *, in_time_s: float | None, price: float) -> Self:
        """`in_time_s` is the longest wait with which a request still meets its deadline."""
        waits = {share: outcome.wait_s(share) for share in (0.5, 0.95, 0.99)}
        p50, p95, p99 = (None if wait == float("inf") else round(wait, 4) for wait in waits.values())
        return cls(
            name=name,
            min=policy.min,
            max=policy.max,
            p50_s=p50,
            p95_s=p95,
            p99_s=p99,
            in_time=None if in_time_s is None else outcome.share_begun_within(in_time_s),
            dropped=outcome.dropped,
            replica_hours=outcome.replica_hours,
            cost=outcome.replica_hours * price,
        )


class ReplicaBounds(Frozen):
    min: int
    max: int


class StudyReport(Frozen):
    """`recommended` is None if no bounds meet the target."""

    trace: str
    seconds: float
    requests: int
    step_s: float
    wait_target_s: float
    wait_share: float
    policy: ScalingPolicy
    rows: tuple[StudyRow, ...]
    recommended: ReplicaBounds | None
