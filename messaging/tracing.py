"""Begins the traces of a process: of requests, of attempts at jobs, and of the batches that a replica answers.

Off unless TIDEPOOL_OTLP_ENDPOINT is set; OpenTelemetry is not imported then. See docs/tracing.md.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contract.tracing import Attributes, Span, TraceContext, active
from messaging.settings import TracingSettings

if TYPE_CHECKING:
    from messaging.spans import FinishedSpan, Recorder

SDK = "messaging.spans"  # the module that imports OpenTelemetry


class Allowance:
    """Permits `per_s` uses a second on average, and as many at once."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._left = max(1.0, per_s)
        self._since = clock()

    def take(self) -> bool:
        """Use one; False if none is left."""
        now = self._clock()
        self._left = min(max(1.0, self._per_s), self._left + (now - self._since) * self._per_s)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sampler:
    """Decides which requests are recorded.

    Of those whose client decides nothing, it is a share. A client that records its own part asks for ours; it asks from
    an allowance of its own, so clients can neither have everything recorded nor use up the allowance of the others.
    """

    def __init__(self, share: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._chosen, self._asked_for = Allowance(per_s, clock), Allowance(per_s, clock)

    def records(self, parent: TraceContext | None) -> bool:
        """Decide on a request with the trace context that its client has sent."""
        if parent is None:
            return self.happens() and self._chosen.take()
        return parent.sampled and self._asked_for.take()

    def happens(self) -> bool:
        """Return True for a random share of the calls."""
        return random.random() < self._share  # noqa: S311  no secret


class Tracing:
    """The traces of a process in which tracing is on."""

    def __init__(self, recorder: "Recorder", sampler: Sampler) -> None:
        self._recorder = recorder
        self._sampler = sampler

    def request(self, name: str, parent: TraceContext | None) -> Span | None:
        """Begin the span of a request with its client's trace context, if it sent one; None if it is not recorded."""
        return self._recorder.begin(name, parent, server=True) if self._sampler.records(parent) else None

    def attempt(self, name: str, cause: TraceContext | None, attributes: Attributes) -> Span | None:
        """Begin the trace of an attempt at a job, linked to its cause; None if it is not recorded."""
        if not (cause is not None and cause.sampled) and not self._sampler.happens():
            return None
        return self._recorder.begin(name, links=() if cause is None else (cause,), attributes=attributes)

    def batch(self, contexts: Sequence[TraceContext], attributes: Attributes) -> Span:
        """Begin the span of a batch, within the first of these spans and linked to all."""
        return self._recorder.begin("answer batch", contexts[0], contexts, attributes)

    def add(self, span: "FinishedSpan") -> None:
        """Export a span that an attempt has sent to its worker."""
        self._recorder.add(span)

    def stop(self) -> None:
        """Export what is left, for at most two seconds."""
        self._recorder.stop()


_tracing: Tracing | None = None


def tracing() -> Tracing | None:
    """Return the traces of this process, None if tracing is off."""
    return _tracing


def start_tracing(role: str, settings: TracingSettings) -> None:
    """Turn tracing on for this process, if an endpoint is set."""
    global _tracing  # noqa: PLW0603  one for each process, like the configuration of logs
    if settings.otlp_endpoint is None:
        return
    from messaging.spans import Recorder  # noqa: PLC0415  not imported without an endpoint

    sampler = Sampler(settings.trace_sample, settings.trace_rate)
    _tracing = Tracing(Recorder.to_collector(role, settings.otlp_endpoint), sampler)


def stop_tracing() -> None:
    """Export what is left, for at most two seconds, and turn tracing off."""
    global _tracing  # noqa: PLW0603
    if _tracing is not None:
        _tracing.stop()
    _tracing = None


@contextmanager
def relayed(parent: TraceContext | None, send: "Callable[[FinishedSpan], None]") -> Iterator[None]:
    """Record the block's spans within `parent`, a span of another process, which gets each with `send`; none: nothing.

    An attempt uses this, so that it waits for no collector and its spans are exported even if it is killed.
    """
    if parent is None:
        yield
        return
    from messaging.spans import Recorder  # noqa: PLC0415

    with active(Recorder.to_process(send).within(parent)):
        yield
