"""Stop runs of models that take too long or too much memory."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from contract.errors import DeadlineExceeded, TooLarge
from services.inference.engine.arena import is_full, shrink_arena
from services.inference.engine.onnx_runtime import ORT_ERRORS, ort
from services.inference.engine.session import OrtSession

RUN_ERRORS: tuple[type[Exception], ...] = (TooLarge, *ORT_ERRORS)  # of a run that failed, but was not stopped

T = TypeVar("T")


Run = tuple[float, ort.RunOptions, int]
"""The time when a run is stopped, its options, and its thread."""


class Watchdog:
    """Stops each run that takes longer than `limit_s` seconds, with one thread for all runs.

    ONNX Runtime stops between two operators, and between the rounds of a loop; one operator is computed to its end. If
    that takes at least the limit once more, `on_stuck` is called with the thread of the run, again after each limit.

    All runs have the same limit, so the one that began first is the first to exceed it. A thread that sleeps until then
    need not be woken by later runs, so a run costs two operations of a dict, and the thread wakes up once per limit.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.on_stuck: Callable[[int], None] | None = None
        # In the order in which they began. One operation of a dict is atomic, so it needs no lock.
        self._runs: dict[ort.RunOptions, Run] = {}
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def run(self, call: Callable[[ort.RunOptions], T]) -> T:
        """Return what `call` returns; raises DeadlineExceeded if its run was stopped, or what it raises."""
        if self._thread is None:
            self._start()
        options = ort.RunOptions()
        self._runs[options] = (time.monotonic() + self.limit_s, options, threading.get_ident())
        try:
            return call(options)
        except ORT_ERRORS as error:
            if options.terminate:
                raise DeadlineExceeded(
                    f"a run of the model took more than {self.limit_s:g} s and was stopped; send smaller inputs, or "
                    "use a faster model"
                ) from error
            raise
        finally:
            del self._runs[options]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(self._stop_late_runs())

    def _stop_late_runs(self) -> float:
        """Stop the runs whose time is up; return the seconds until the next one may have to be stopped."""
        runs, now = list(self._runs.values()), time.monotonic()
        for deadline, options, thread in runs:
            if deadline > now:
                return deadline - now
            options.terminate = True
            if self.on_stuck is not None and deadline + self.limit_s <= now:
                self.on_stuck(thread)
        return self.limit_s


@cache
def watchdog(limit_s: float) -> Watchdog:
    """Return this process's watchdog for a limit."""
    return Watchdog(limit_s)


class LimitedSession:
    """A session whose runs have limits: they raise DeadlineExceeded after a time, and TooLarge for lack of memory."""

    def __init__(self, session: OrtSession, limit: Watchdog) -> None:
        self._session = session
        self._run = limit.run
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> Sequence[Any]:
        return self._limited(lambda options: self._session.run(names, feed, options))

    def run_with_ort_values(self, names: Sequence[str], feed: Mapping[str, ort.OrtValue]) -> Sequence[ort.OrtValue]:
        return self._limited(lambda options: self._session.run_with_ort_values(names, feed, options))

    def _limited(self, call: Callable[[ort.RunOptions], T]) -> T:
        try:
            return self._run(call)
        except ORT_ERRORS as error:
            if not is_full(error):
                raise
        shrink_arena()
        try:
            return self._run(call)
        except ORT_ERRORS as error:
            if not is_full(error):
                raise
            shrink_arena()  # of what the run had taken before it failed
            raise TooLarge("a run of the model needs more memory than its limit; send smaller inputs") from error
