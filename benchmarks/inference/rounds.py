"""Measure in rounds over all servers, so that drift of the machine affects all of them equally."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.contender import Contender, warm_up
from benchmarks.inference.payloads import Case
from benchmarks.inference.results import Results
from benchmarks.inference.server import ServerFailed

Reporter = Callable[[str], None]


@dataclass(frozen=True)
class BenchmarkPlan:
    """Measure every contender in every case with each number of connections, in each round.

    `seconds` is the duration of one measurement; slow models multiply it by their `time_factor`.
    """

    cases: Sequence[Case]
    contenders: Sequence[Contender]
    connections: Sequence[int]
    seconds: int
    rounds: int

    def run(self, report: Reporter) -> Results:
        """Run all measurements and report progress; a server that fails is left out of the rest of its case."""
        results = Results()
        order = list(self.contenders)
        steps = [(turn, case) for case in self.cases for turn in range(self.rounds)]
        for step, (turn, case) in enumerate(steps, 1):
            for contender in order[turn % len(order) :] + order[: turn % len(order)]:
                if not contender.fits(case):
                    continue
                name = f"{case}: {contender}"
                if name not in results.missing:
                    report(f"[{step}/{len(steps)}] {name}")
                    self._measure(case, contender, results)
                if name in results.missing:
                    report(f"  {results.missing[name]}")
        return results

    def _measure(self, case: Case, contender: Contender, results: Results) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                with contender.open(case, Path(folder)) as drive:
                    warm_up(drive, max(self.connections))
                    seconds = self.seconds * case.subject.time_factor
                    for connections in self.connections:
                        results.add(case, contender, connections, drive(connections, seconds))
            except ServerFailed as failure:
                results.missing[f"{case}: {contender}"] = str(failure)
