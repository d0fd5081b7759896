"""Simulated replicas: they start, serve, and stop when their requests are done."""

from collections import deque

from scaling.simulation.steps import Steps


class Replicas:
    """Counts of ready and starting replicas, and of the requests running on them."""

    def __init__(self, ready: int, steps: Steps, startup_s: float) -> None:
        self.ready = ready
        self.running = 0
        self._requests_per_step = steps.requests_per_step
        self._ends = deque([0] * steps.steps_per_request)  # requests that end, by coming step
        self._startup = steps.count_in(startup_s)
        self._starting: deque[list[int]] = deque()  # [step in which they become ready, count]

    @property
    def starting(self) -> int:
        return sum(count for _, count in self._starting)

    @property
    def seats(self) -> int:
        """The number of requests that all ready replicas can run at once."""
        return self.ready * self._requests_per_step

    @property
    def held(self) -> int:
        """The replicas paid for: starting, ready, and draining."""
        return max(self.ready, -(-self.running // self._requests_per_step)) + self.starting

    def pass_step(self, step: int) -> int:
        """Finish requests, make started replicas ready, and return how many requests can begin.

        Negative while replicas drain.
        """
        self.running -= self._ends.popleft()
        while self._starting and self._starting[0][0] <= step:
            self.ready += self._starting.popleft()[1]
        return self.ready * self._requests_per_step - self.running

    def begin(self, requests: int) -> None:
        """Start requests in this step."""
        self.running += requests
        self._ends.append(requests)

    def follow(self, desired: int, step: int) -> None:
        """Start missing replicas, or stop surplus ones, starting replicas first."""
        surplus = self.ready + self.starting - desired
        if surplus < 0:
            self._starting.append([step + 1 + self._startup, -surplus])
        while surplus > 0 and self._starting:
            last = self._starting[-1]
            cancelled = min(surplus, last[1])
            last[1] -= cancelled
            surplus -= cancelled
            if not last[1]:
                self._starting.pop()
        self.ready -= max(0, surplus)
