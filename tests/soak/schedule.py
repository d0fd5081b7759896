"""Runs kinds of work again and again, each on its own rhythm, and no kind twice at once."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from tests.soak.members import Failed
from tests.soak.tally import Tally

Work = Mapping[str, tuple[float, Callable[[], None]]]  # by name: seconds between two turns, and the turn
LATE_S = 300.0  # after which a turn counts as stuck


class Schedule:
    """Threads that take turns of work from `begin` to `end`; `rate` makes all turns more frequent."""

    def __init__(self, works: Mapping[str, Work], rate: float, tally: Tally, threads: int = 24) -> None:
        self._work = {f"{owner}: {name}": each for owner, work in works.items() for name, each in work.items()}
        self._rate, self._tally = rate, tally
        self._pool = ThreadPoolExecutor(threads, "soak")
        self._running: dict[str, tuple[float, Future[None]]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedule")

    def begin(self) -> None:
        self._thread.start()

    def end(self, within_s: float = 300.0) -> None:
        """Begin no more turns, and wait for those that run."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + within_s
        for name, (_, future) in self._running.items():
            try:
                future.result(max(0.1, deadline - time.monotonic()))
            except TimeoutError:
                self._tally.problem(name, f"it did not end within {within_s:.0f} s")
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        rng, now = random.Random(1), time.monotonic()
        due = {name: now + rng.random() * period / self._rate for name, (period, _) in self._work.items()}
        while not self._stop.wait(0.05):
            now = time.monotonic()
            for name, (period, turn) in self._work.items():
                if now < due[name]:
                    continue
                began, future = self._running.get(name, (now, None))
                if future is not None and not future.done():
                    if now - began > LATE_S:
                        self._tally.problem(name, f"a turn takes longer than {LATE_S:.0f} s")
                        self._running[name] = (now, future)
                    continue
                due[name] = now + period / self._rate * rng.uniform(0.7, 1.3)
                self._running[name] = (now, self._pool.submit(self._take, name, turn))

    def _take(self, name: str, turn: Callable[[], None]) -> None:
        self._tally.turn(name)
        try:
            turn()
        except Failed:
            return
        except Exception as error:  # a defect of the soak, which must show
            self._tally.problem(name, f"{type(error).__name__}: {error}")
