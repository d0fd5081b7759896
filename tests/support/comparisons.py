"""Reports of a candidate against a champion on the same images, from counts by class."""

from collections.abc import Mapping

from contract.datasets import Split
from contract.evaluation import Baseline, ClassComparison, ClassMetrics, Comparison, EvaluationReport, Metrics

# by class: images, right with the champion, right with the candidate only, right with the champion only
Counts = Mapping[str, tuple[int, int, int, int]]

EVEN: Counts = {"cat": (500, 450, 20, 20), "dog": (500, 450, 20, 20)}
BETTER: Counts = {"cat": (500, 450, 25, 8), "dog": (500, 450, 25, 8)}
WORSE: Counts = {"cat": (500, 450, 8, 25), "dog": (500, 450, 8, 25)}
WORSE_ON_DOGS: Counts = {"cat": (800, 720, 60, 8), "dog": (200, 180, 2, 20)}


def report(counts: Counts, candidate: str = "cats@5", champion: str = "cats@4") -> EvaluationReport:
    """The judgement of a candidate against a champion."""
    better, worse = (sum(row[index] for row in counts.values()) for index in (2, 3))
    return EvaluationReport(
        model=candidate,
        dataset="pets@3",
        split=Split.TEST,
        count=sum(row[0] for row in counts.values()),
        failed=0,
        summary=(),
        warnings=(),
        metrics=_metrics({label: (row[0], row[1] + row[2] - row[3]) for label, row in counts.items()}),
        baseline=Baseline(model=champion, metrics=_metrics({label: row[:2] for label, row in counts.items()})),
        comparison=Comparison(
            better=better,
            worse=worse,
            both_right=0,
            both_wrong=0,
            test="exact",
            p_value=1.0,
            statement="",
            by_class={label: ClassComparison(better=row[2], worse=row[3]) for label, row in counts.items()},
        ),
    )


def _metrics(right: Mapping[str, tuple[int, int]]) -> Metrics:
    """Metrics of (images, right ones) by class."""
    total, hits = (sum(counts[index] for counts in right.values()) for index in (0, 1))
    per_class = {
        label: ClassMetrics(precision=1.0, recall=hit / count, f1=1.0, support=count)
        for label, (count, hit) in right.items()
    }
    return Metrics(accuracy=hits / total, top5_accuracy=None, loss=0.5, confusion_matrix=(), per_class=per_class)
