"""The only place for simulated replicas: they start, serve, and go when they have finished."""

from collections import deque

from tidepool.simulate.steps import Steps


class Replicas:
    """How many are ready, how many start, and the requests under way on them."""

    def __init__(self, ready: int, steps: Steps, startup_s: float) -> None:
        self.ready = ready
        self.running = 0
        self._a_step = steps.a_step
        self._ends = deque([0] * steps.a_request)  # how many requests end in the steps to come
        self._startup = steps.spanning(startup_s)
        self._starting: deque[list[int]] = deque()  # [step in which they are ready, how many]

    @property
    def starting(self) -> int:
        return sum(count for _, count in self._starting)

    @property
    def seats(self) -> int:
        """The requests that all ready ones can have under way."""
        return self.ready * self._a_step

    @property
    def held(self) -> int:
        """All that are paid for: those that start, those that are ready, those that go but still finish."""
        return max(self.ready, -(-self.running // self._a_step)) + self.starting

    def pass_step(self, step: int) -> int:
        """End what ends, make ready what has started; how many more requests can begin, below 0 while some go."""
        self.running -= self._ends.popleft()
        while self._starting and self._starting[0][0] <= step:
            self.ready += self._starting.popleft()[1]
        return self.ready * self._a_step - self.running

    def begin(self, requests: int) -> None:
        """Start requests in this step."""
        self.running += requests
        self._ends.append(requests)

    def follow(self, desired: int, step: int) -> None:
        """Start what is too few; let go what is too many, those that still start first."""
        surplus = self.ready + self.starting - desired
        if surplus < 0:
            self._starting.append([step + 1 + self._startup, -surplus])
        while surplus > 0 and self._starting:
            last = self._starting[-1]
            gone = min(surplus, last[1])
            last[1] -= gone
            surplus -= gone
            if not last[1]:
                self._starting.pop()
        self.ready -= max(0, surplus)
