"""The page of the results, from what `Results` keeps."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import MISSING, Line, ran_on_list, spread, table
from benchmarks.people import drift, gate, label_errors
from benchmarks.people.curves import Curve, Runs, savings
from benchmarks.people.loop import ANSWERS, FIRST
from benchmarks.people.plot import DAILY, plot

HEAD = """# People and AI: what the answers of people gain

Made by `make bench-people`. Features and heads are those of a training by default, a linear head on what `lite0` sees.
The answers of people are the labels of the data set.
"""
LOOP = f"""{FIRST:.0%} of the training images have labels at first; the others are traffic. After each {ANSWERS} answers
a new model is trained and judged on the test split, which stays the same. The tables have means over the seeds ± their
standard deviation after some answers, then how many answers do as well as 300 random ones, and so on. For this, means
are also over three rounds, and random choice is compared with itself to show what chance does. With 400 images a
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
        if sets := self.document.get("loop"):
            curves = {name: {way: Curve.of(runs) for way, runs in ways.items()} for name, ways in sets.items()}
            everything = {name: line["accuracy"] for name, line in self.document.get("all answers", {}).items()}
            plot(curves, everything, self._folder / "people.png")
        (self._folder / "people.md").write_text("\n".join(_page(self.document)))


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    yield HEAD
    if sets := document.get("loop"):
        yield from ("## The loop", "", *_loop(sets, document.get("all answers", {})))
    if lines := document.get("label errors"):
        yield from ("## Label errors", "", *_label_errors(lines))
    if lines := document.get("drift"):
        yield from ("## Drift", "", DRIFT, "", *drift.lines(lines))
    if lines := document.get("gate"):
        yield from ("## The gate", "", *_gate(lines))
    yield from (COST, "")
    yield from ran_on_list(document.get("ran on", {}))


def _loop(sets: Mapping[str, Mapping[str, Runs]], everything: Mapping[str, Line]) -> Iterator[str]:
    yield from (LOOP, "", "![accuracy against answers](people.png)", "")
    for dataset, ways in sets.items():
        for suffix in ("", DAILY):
            of_kind = {
                way.removesuffix(DAILY): runs for way, runs in ways.items() if way.endswith(DAILY) == bool(suffix)
            }
            if of_kind:
                yield from (f"### {dataset}{suffix}", "", *savings(of_kind, everything.get(dataset)))


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
