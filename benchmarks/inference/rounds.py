"""The only place that orders the measurements: in rounds over all servers, so that a drift of the machine hits all."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.contender import Contender, warm_up
from benchmarks.inference.payloads import Case
from benchmarks.inference.results import Results
from benchmarks.inference.server import ServerFailed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """Every contender is driven in every case with each number of connections, in each round.

    `seconds` is how long, where the model needs no patience.
    """

    cases: Sequence[Case]
    contenders: Sequence[Contender]
    connections: Sequence[int]
    seconds: int
    rounds: int

    def carry_out(self, say: Say) -> Results:
        """Tell `say` how far it is; a server that fails is left out of the case from then on."""
        results = Results()
        order = list(self.contenders)
        steps = [(turn, case) for case in self.cases for turn in range(self.rounds)]
        for step, (turn, case) in enumerate(steps, 1):
            for contender in order[turn % len(order) :] + order[: turn % len(order)]:
                who = f"{case}: {contender}"
                if who not in results.missing:
                    say(f"[{step}/{len(steps)}] {who}")
                    self._measure(case, contender, results)
                if who in results.missing:
                    say(f"  {results.missing[who]}")
        return results

    def _measure(self, case: Case, contender: Contender, results: Results) -> None:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                with contender.open(case, Path(folder)) as drive:
                    warm_up(drive, max(self.connections))
                    seconds = self.seconds * case.subject.patience
                    for connections in self.connections:
                        results.add(case, contender, connections, drive(connections, seconds))
            except ServerFailed as failure:
                results.missing[f"{case}: {contender}"] = str(failure)
