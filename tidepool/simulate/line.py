"""The only place where simulated requests wait: first come, first served."""

from collections import Counter, deque


class Line:
    """Requests in cohorts that came in the same step, and how many steps those waited that began."""

    def __init__(self, patience: int | None) -> None:
        """`patience` is the number of steps after which a request that still waits is given up; None is never."""
        self.length = 0
        self.dropped = 0
        self.began: Counter[int] = Counter()
        self._patience = patience
        self._cohorts: deque[list[int]] = deque()

    def pass_step(self, step: int, arrived: int, room: int) -> int:
        """Let `arrived` requests join and at most `room` requests begin; how many do."""
        if not self.length and arrived <= room:
            self.began[0] += arrived
            return arrived
        if arrived:
            self._cohorts.append([step, arrived])
            self.length += arrived
        self._give_up(step)
        began = left = min(self.length, max(0, room))
        while left:
            cohort = self._cohorts[0]
            taken = min(left, cohort[1])
            self.began[step - cohort[0]] += taken
            left -= taken
            self._take(cohort, taken)
        return began

    def oldest(self, step: int) -> int:
        """Steps that the first one has waited."""
        return step - self._cohorts[0][0] if self._cohorts else 0

    def ages(self, step: int) -> Counter[int]:
        """Steps that those have waited who still wait."""
        return Counter({step - came: count for came, count in self._cohorts})

    def _give_up(self, step: int) -> None:
        while self._patience is not None and self.oldest(step) > self._patience:
            cohort = self._cohorts[0]
            self.dropped += cohort[1]
            self._take(cohort, cohort[1])

    def _take(self, cohort: list[int], count: int) -> None:
        cohort[1] -= count
        self.length -= count
        if not cohort[1]:
            self._cohorts.popleft()
