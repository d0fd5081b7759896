"""Counts what the clients of a soak see: answers by status, latencies of the neighbour, and what must not happen."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from tests.soak.judge import quantile

ALLOWED = {503, 504}  # of the server's errors
KEPT = 200  # problems that are printed


@dataclass
class Tally:
    """Shared by all threads of a run; `problems` are failures of well-behaved clients and of promised refusals."""

    started: float = field(default_factory=time.monotonic)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)  # by who asked: member, hostile, neighbour
    problems: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    problem_count: int = 0
    turns: Counter[str] = field(default_factory=Counter)  # of each kind of work, that it began
    _latencies: list[float] = field(default_factory=list)
    _all_latencies: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, sender: str, status: int | str) -> None:
        with self._lock:
            self.statuses[sender, str(status)] += 1

    def turn(self, name: str) -> None:
        with self._lock:
            self.turns[name] += 1

    def latency(self, seconds: float) -> None:
        with self._lock:
            self._latencies.append(seconds)
            self._all_latencies.append(seconds)

    def problem(self, name: str, text: str) -> None:
        """Note what a well-behaved client, or a refused one, must not see."""
        with self._lock:
            self.problem_count += 1
            self.problems.append(f"{time.monotonic() - self.started:7.0f} s  {name}: {text[:300]}")

    def window(self) -> tuple[float, float]:
        """Return p50 and p99 of the neighbour's latencies since the last call, in milliseconds."""
        with self._lock:
            latencies, self._latencies = self._latencies, []
        return 1000 * quantile(latencies, 0.5), 1000 * quantile(latencies, 0.99)

    def overall(self) -> tuple[float, float, int]:
        """Return p50 and p99 in milliseconds, and the number of requests, of the whole run."""
        with self._lock:
            latencies = list(self._all_latencies)
        return 1000 * quantile(latencies, 0.5), 1000 * quantile(latencies, 0.99), len(latencies)

    def by_class(self) -> Counter[str]:
        """Return how many answers there were of each class: 2xx, 4xx, 503, INTERNAL, …"""
        with self._lock:
            classes: Counter[str] = Counter()
            for (_, status), count in self.statuses.items():
                classes[class_of(status)] += count
            return classes

    def forbidden(self) -> Counter[str]:
        """Return the answers of the server that may never be."""
        with self._lock:
            return Counter(
                {f"{sender} {status}": n for (sender, status), n in self.statuses.items() if is_forbidden(status)}
            )


def class_of(status: str) -> str:
    """Return 2xx for 204, and 429, 5xx statuses and the codes of gRPC as they are."""
    return f"{status[0]}xx" if status.isdecimal() and status[0] in "1234" and status != "429" else status


def is_forbidden(status: str) -> bool:
    """Whether a status is a server's error other than an overload or a deadline; for gRPC, INTERNAL and UNKNOWN."""
    if status.isdecimal():
        return int(status) >= 500 and int(status) not in ALLOWED
    return status in {"INTERNAL", "UNKNOWN", "DATA_LOSS"}
