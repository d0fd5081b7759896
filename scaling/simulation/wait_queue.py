"""The queue of simulated requests: first come, first served."""

from collections import Counter, deque


class WaitQueue:
    """Holds requests in cohorts by arrival step; `began` counts started requests by the steps that they waited."""

    def __init__(self, max_wait: int | None) -> None:
        """`max_wait` is the number of steps after which a waiting request is dropped; None is never."""
        self.length = 0
        self.dropped = 0
        self.began: Counter[int] = Counter()
        self._max_wait = max_wait
        self._cohorts: deque[list[int]] = deque()

    def pass_step(self, step: int, arrived: int, room: int) -> int:
        """Add `arrived` requests, start at most `room` of them, and return how many started."""
        if not self.length and arrived <= room:
            self.began[0] += arrived
            return arrived
        if arrived:
            self._cohorts.append([step, arrived])
            self.length += arrived
        self._drop_overdue(step)
        began = left = min(self.length, max(0, room))
        while left:
            cohort = self._cohorts[0]
            taken = min(left, cohort[1])
            self.began[step - cohort[0]] += taken
            left -= taken
            self._take(cohort, taken)
        return began

    def oldest(self, step: int) -> int:
        """Return the steps that the oldest request has waited."""
        return step - self._cohorts[0][0] if self._cohorts else 0

    def ages(self, step: int) -> Counter[int]:
        """Return the number of waiting requests by the steps that they have waited."""
        return Counter({step - arrival: count for arrival, count in self._cohorts})

    def _drop_overdue(self, step: int) -> None:
        while self._max_wait is not None and self.oldest(step) > self._max_wait:
            cohort = self._cohorts[0]
            self.dropped += cohort[1]
            self._take(cohort, cohort[1])

    def _take(self, cohort: list[int], count: int) -> None:
        cohort[1] -= count
        self.length -= count
        if not cohort[1]:
            self._cohorts.popleft()
