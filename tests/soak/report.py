"""What a soak found: a verdict for each series, the answers, and whether all of it is as promised."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.soak.judge import Tolerance, Verdict, judge
from tests.soak.recorder import Series
from tests.soak.tally import Tally

# By the end of a series' name, the first that fits; memory and disk in MiB. What jobs and large tensors take while they
# run comes and goes.
TOLERANCES = {
    "redis private": Tolerance(share=0.15, absolute=96),
    "redis rss": Tolerance(share=0.15, absolute=96),
    " private": Tolerance(share=0.15, absolute=24),
    " rss": Tolerance(share=0.15, absolute=32),
    " threads": Tolerance(share=0.1, absolute=6),
    " files": Tolerance(share=0.1, absolute=16),
    " sockets": Tolerance(share=0.1, absolute=16),
    " processes": Tolerance(absolute=3),
    "redis used memory": Tolerance(share=0.1, absolute=16),
    "disk objects of jobs": Tolerance(share=0.2, absolute=48),
    "disk stray uploads": Tolerance(absolute=8),
    "disk scratch": Tolerance(absolute=96),
    "disk database": Tolerance(absolute=4, per_job=0.03),  # rows of jobs, their events and the audit trail are kept
    "disk redis": Tolerance(limit=256),  # an append-only file is rewritten when it has doubled, from 64 MiB on
    "disk logs": Tolerance(limit=400),  # two files of 10 MiB for each component
}


@dataclass(frozen=True)
class Report:
    verdicts: tuple[Verdict, ...]
    restarts: dict[str, int]
    tally: Tally

    @classmethod
    def of(cls, series: Series, restarts: dict[str, int], tally: Tally) -> "Report":
        jobs = series.get("jobs ended", [])
        tolerances = {name: tolerance_of(name) for name in sorted(series)}
        verdicts = (judge(name, series[name], each, jobs) for name, each in tolerances.items() if each is not None)
        return cls(tuple(verdicts), restarts, tally)

    @property
    def passed(self) -> bool:
        return not self.failures()

    def failures(self) -> list[str]:
        """Return what is not as promised, as sentences."""
        grown = [f"{v.series} grew from {v.before:.1f} to {v.after:.1f}" for v in self.verdicts if not v.flat]
        wrong = [f"{count} answers {status} ({status.split()[0]})" for status, count in self.tally.forbidden().items()]
        again = [f"{name} was restarted {count} times" for name, count in self.restarts.items()]
        problems = [f"{self.tally.problem_count} problems of clients"] if self.tally.problem_count else []
        return grown + wrong + again + problems

    def __str__(self) -> str:
        lines = [f"{'series':<25}{'2nd quarter':>12}{'last quarter':>13}{'allowed':>10}  tolerance"]
        lines += map(_line, self.verdicts)
        p50, p99, count = self.tally.overall()
        lines += ["", f"neighbour: {count} predictions, p50 {p50:.1f} ms, p99 {p99:.1f} ms"]
        lines += [f"answers: {_counts(self.tally.by_class())}", f"turns: {_counts(self.tally.turns)}"]
        lines += [f"  {problem}" for problem in self.tally.problems]
        lines += [f"FAILED: {failure}" for failure in self.failures()] or ["flat, and nothing failed"]
        return "\n".join(lines)

    def save(self, folder: Path, series: Series) -> None:
        """Write `series.csv` and `report.json`."""
        with (folder / "series.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("seconds", "series", "value"))
            for name, points in sorted(series.items()):
                writer.writerows((f"{at:.1f}", name, f"{value:.3f}") for at, value in points)
        p50, p99, count = self.tally.overall()
        document = {
            "passed": self.passed,
            "failures": self.failures(),
            "verdicts": [asdict(verdict) | {"flat": verdict.flat} for verdict in self.verdicts],
            "answers": dict(self.tally.by_class()),
            "answers by sender": {" ".join(who): n for who, n in sorted(self.tally.statuses.items())},
            "turns": dict(self.tally.turns),
            "neighbour": {"predictions": count, "p50 ms": p50, "p99 ms": p99},
            "problems": list(self.tally.problems),
        }
        (folder / "report.json").write_text(json.dumps(document, indent=1))


def tolerance_of(name: str) -> Tolerance | None:
    """Return how much a series may grow; None if it is not judged."""
    return next((tolerance for end, tolerance in TOLERANCES.items() if name.endswith(end)), None)


def _line(verdict: Verdict) -> str:
    values = f"{verdict.before:>12.1f}{verdict.after:>13.1f}{verdict.allowed:>10.1f}"
    return f"{verdict.series:<25}{values}  {verdict.tolerance}{'' if verdict.flat else '  GREW'}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
