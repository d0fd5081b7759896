"""The page of the results, from what `Results` keeps."""

import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import MISSING, ran_on_list, table
from benchmarks.people import drift, gate, label_errors
from benchmarks.people.loop import ANSWERS, FIRST, Curve, Goal
from benchmarks.people.plot import DAILY, plot

BUDGETS = (300, 500, 1000, 1500)  # answers, beside all
HEAD = """# People and AI: what the answers of people gain

Made by `make bench-people`. Features and heads are those of a training by default, a linear head on what `lite0` sees.
The answers of people are the labels of the data set.
"""
LOOP = f"""{FIRST:.0%} of the training images have labels at first; the others are traffic. After each {ANSWERS} answers
a new model is trained and judged on the test split, which stays the same. Columns show after how many answers a way
reaches the accuracy of random choice after a budget, and how many fewer these are. For this, accuracies are means over
the seeds and three rounds; random choice is compared with itself, too, to show what chance does. With 400 images a
day, the sampler of the gateway chooses about 100 of 400 images that it sees one after another."""
LABEL_ERRORS = """{share:.0%} of the training labels are wrong on purpose: any other class (uniform), or a class that
heads confuse with the right one (confusable). The queue lists images by out-of-fold probabilities, as a training does;
people review it from its start. Means of {seeds} seeds. Labels that are wrong in the data set itself count as right, so
that precision is a lower bound."""
DRIFT = """The default network, trained on CIFAR-10, with requests drawn from its test split, looked at 40 times a day.
Images are counted from the first disturbed one to the alarm. ADR 56 says more."""
COST = "What sampling costs predictions is measured by `make bench-sampling`."
GATE = """The champion is trained on {champion:.0%} of the training images, and is right on {right:.1f} % of those that
it has not seen. Candidates have its answers, but lose {lost:.1f} % of the images, as many as a model that is trained on
{rival:.0%}, and gain as many as their difference needs. The table has the share of candidates that the gate promotes
with its defaults, by images of the test split, over {runs} splits of each size."""
Line = dict[str, Any]


class Results:
    """The lines of each part, in people.json; a part that is measured again replaces its lines."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "people.json"
        self.document: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def keep(self, part: str, lines: Any, ran_on: Mapping[str, str]) -> None:
        """Replace the lines of a part, and write the file."""
        self.document |= {part: lines, "ran on": dict(ran_on)}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self.document, separators=(",", ":")) + "\n")

    def keep_way(self, dataset: str, way: str, runs: Any, ran_on: Mapping[str, str]) -> None:
        """Replace the lines of a way of the loop."""
        lines = self.document.get("loop", {})
        self.keep("loop", lines | {dataset: lines.get(dataset, {}) | {way: runs}}, ran_on)

    def write(self) -> None:
        """Write people.md and people.png."""
        curves = {
            dataset: {way: Curve.of(seeds) for way, seeds in ways.items()}
            for dataset, ways in self.document.get("loop", {}).items()
        }
        if curves:
            everything = {name: line["accuracy"] for name, line in self.document.get("all answers", {}).items()}
            plot(curves, everything, self._folder / "people.png")
        (self._folder / "people.md").write_text("\n".join(_page(self.document, curves)))


def _page(document: Mapping[str, Any], curves: Mapping[str, Mapping[str, Curve]]) -> Iterator[str]:
    yield HEAD
    if curves:
        yield from ("## The loop", "", *_loop(curves, document.get("all answers", {})))
    if lines := document.get("label errors"):
        yield from ("## Label errors", "", *_label_errors(lines))
    if lines := document.get("drift"):
        yield from ("## Drift", "", DRIFT, "", *drift.lines(lines))
    if lines := document.get("gate"):
        yield from ("## The gate", "", *_gate(lines))
    yield from (COST, "")
    yield from ran_on_list(document.get("ran on", {}))


def _loop(curves: Mapping[str, Mapping[str, Curve]], everything: Mapping[str, Line]) -> Iterator[str]:
    yield LOOP
    yield from ("", "![accuracy against answers](people.png)", "")
    for dataset, ways in curves.items():
        for suffix in ("", DAILY):
            of_kind = {
                way.removesuffix(DAILY): curve for way, curve in ways.items() if way.endswith(DAILY) == bool(suffix)
            }
            if of_kind:
                yield from (f"### {dataset}{suffix}", "", *_savings(of_kind, everything.get(dataset)))


def _savings(curves: Mapping[str, Curve], everything: Line | None) -> list[str]:
    random = curves.get("random")
    budgets = [] if random is None else [answers for answers in BUDGETS if answers in random.answers]
    goals = [Goal(answers, random.after(answers)) for answers in budgets if random is not None]
    if everything is not None:
        goals.append(Goal(everything["answers"], everything["accuracy"]))
    columns = ["chosen by", *(f">as random after {goal.answers:,}: {100 * goal.accuracy:.1f} %" for goal in goals)]
    columns += [f">% after {answers:,}" for answers in budgets]
    rows = [
        (way, *(_saving(goal, curve) for goal in goals), *_accuracies(curve, budgets)) for way, curve in curves.items()
    ]
    return table(columns, [(*row, *[MISSING] * (len(columns) - len(row))) for row in rows])


def _saving(goal: Goal, curve: Curve) -> str:
    saving = goal.saving(curve)
    return MISSING if saving is None else f"{saving[0]:,} ({-saving[1]:+.0%})"


def _accuracies(curve: Curve, budgets: Sequence[int]) -> Iterator[str]:
    for answers in budgets:
        if answers in curve.answers:
            yield spread(100 * curve.accuracies[:, curve.answers.index(answers)])


def _label_errors(lines: Sequence[Line]) -> Iterator[str]:
    seeds = len({line["seed"] for line in lines})
    yield from (LABEL_ERRORS.format(share=lines[0]["share"], seeds=seeds), "")
    kinds = [kind for kind in label_errors.KINDS if any(line["kind"] == kind for line in lines)]
    of_kind = {kind: [line for line in lines if line["kind"] == kind] for kind in kinds}
    yield from table(
        ("wrong labels", "part of the queue", ">images", ">precision %", ">recall %"), _found_cells(of_kind)
    )
    yield from table(
        ("wrong labels", "reviewed", ">images", ">test %", ">loss", ">of the lost accuracy", ">of the risen loss"),
        _reviewed_cells(of_kind),
    )


def _found_cells(of_kind: Mapping[str, Sequence[Line]]) -> Iterator[Sequence[str]]:
    for kind, lines in of_kind.items():
        for number, row in enumerate(lines[0]["found"]):
            rows = [line["found"][number] for line in lines]
            measures = (spread(100 * value[name] for value in rows) for name in ("precision", "recall"))
            yield kind, row["of"], f"{statistics.fmean(value['images'] for value in rows):.0f}", *measures


def _reviewed_cells(of_kind: Mapping[str, Sequence[Line]]) -> Iterator[Sequence[str]]:
    for kind, lines in of_kind.items():
        for name, title in (("clean", "no wrong labels"), ("noisy", "nothing")):
            yield kind, title, "0", *_measures([line[name] for line in lines]), MISSING, MISSING
        for number, row in enumerate(lines[0]["reviewed"]):
            rows = [line["reviewed"][number] for line in lines]
            images = f"{statistics.fmean(value['images'] for value in rows):.0f}"
            shares = [label_errors.recovered(lines, row["depth"], measure) for measure in ("accuracy", "loss")]
            texts = (MISSING if share is None else f"{share:.0%}" for share in shares)
            yield kind, f"first {row['depth']:.0%} of the queue", images, *_measures(rows), *texts


def _measures(rows: Sequence[Line]) -> tuple[str, str]:
    return spread(100 * row["accuracy"] for row in rows), spread((row["loss"] for row in rows), digits=3)


def _gate(lines: Sequence[Line]) -> Iterator[str]:
    first = lines[0]
    yield GATE.format(
        champion=gate.CHAMPION,
        rival=gate.RIVAL,
        right=100 * statistics.fmean(first["champion"]),
        lost=100 * statistics.fmean(first["lost"]),
        runs=first["runs"] * len(first["promoted"]),
    )
    yield ""
    sizes = sorted({line["images"] for line in lines})
    shares = {
        (line["kind"], line["images"]): sum(line["promoted"]) / line["runs"] / len(line["promoted"]) for line in lines
    }
    rows = (
        (kind.name, "yes" if kind.passes else "no", *(f"{shares[kind.name, size]:.1%}" for size in sizes))
        for kind in gate.KINDS
        if (kind.name, sizes[0]) in shares
    )
    yield from table(("candidate", "should pass", *(f">{size:,} images" for size in sizes)), rows)


def spread(values: Iterable[float], digits: int = 1) -> str:
    """Return the mean ± the standard deviation of the sample."""
    numbers = list(values)
    text = f"{statistics.fmean(numbers):.{digits}f}"
    return f"{text} ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else text
