"""The upper limit: ONNX Runtime and the decoder on all cores, without a server; photos at a reduced scale."""

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.inference.contender import CORES, Contender, Drive
from benchmarks.inference.payloads import Case
from benchmarks.inference.peers.serving import Classifier, Serving
from benchmarks.inference.wrk import Measured

BATCHES = (1, 8, 32)
START_DELAY_S = 0.05  # so that all processes start together

_classifiers: list[Classifier] = []  # at most one, in a process of the pool


@contextmanager
def _open(case: Case, folder: Path) -> Iterator[Drive]:
    serving = Serving(str(case.subject.file), case.payload, port=0, batch=max(BATCHES), workers=1, reduced=True)
    body = case.raw.content
    with multiprocessing.get_context("spawn").Pool(CORES, _load, [serving]) as pool:

        def drive(connections: int, seconds: int) -> Measured:
            """Process as many images at a time as there are connections, in the fastest batch size."""
            processes = min(connections, CORES)
            batches = [batch for batch in BATCHES if batch * processes <= connections]
            candidates = []
            for batch in batches:
                start = time.time() + START_DELAY_S
                tasks = [(body, batch, start, seconds / len(batches))] * processes
                spent = pool.starmap(_spent, tasks, chunksize=1)
                per_s = sum(batch * len(durations) / sum(durations) for durations in spent)
                candidates.append((per_s, [1000 * second for durations in spent for second in durations]))
            per_s, milliseconds = max(candidates)
            return Measured(per_s, statistics.median(milliseconds), sorted(milliseconds)[len(milliseconds) * 99 // 100])

        yield drive


def _load(serving: Serving) -> None:
    _classifiers.append(Classifier(serving))


def _spent(body: bytes, batch: int, start: float, seconds: float) -> list[float]:
    """Run batches for `seconds` from `start`, at least one, and return the seconds of each."""
    (classifier,) = _classifiers
    time.sleep(max(0.0, start - time.time()))
    spent: list[float] = []
    while not spent or sum(spent) < seconds:
        began = time.perf_counter()
        classifier.answer([classifier.read(body) for _ in range(batch)])
        spent.append(time.perf_counter() - began)
    return spent


LIMIT = Contender("limit", "", _open)
