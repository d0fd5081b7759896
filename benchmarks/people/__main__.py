"""Measure what the answers of people gain: the loop, label errors, drift and the gate; write people.md and people.png.

Each part, and each way of the loop, replaces its own results, so that a run can be made in pieces. The features of a
data set are computed once and kept in the folder of --work.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from benchmarks.inference.facts import machine, versions
from benchmarks.page import Line
from benchmarks.people import drift, gate, label_errors, loop
from benchmarks.people.choosing import MIX, WAYS, Choose
from benchmarks.people.paced import Paced
from benchmarks.people.photos import Photos, photos
from benchmarks.people.plot import DAILY
from benchmarks.people.report import Results
from benchmarks.training.photos import MissingFile
from contract.sampling import SamplingMix

DATA = Path("../shared/data")
RESULTS = Path(__file__).parents[1] / "results"
DATA_SETS = ("clothing", "cifar-sample")
A_DAY = 400  # images
RUNS = 50  # test splits of each size, for each seed


def main() -> None:
    options = _options()
    results = Results(options.output)
    with nullcontext(options.work) if options.work else tempfile.TemporaryDirectory(prefix="bench-") as work:
        Path(work).mkdir(parents=True, exist_ok=True)
        try:
            names = [] if options.only == ["drift"] else options.datasets  # which has images of its own
            sets = {name: photos(name, options.data, Path(work).resolve()) for name in names}
        except MissingFile as error:
            raise SystemExit(str(error)) from error
        for part in options.only:
            PARTS[part](results, sets, options)
    results.write()
    print(f"wrote people.md and people.json to {options.output}")


def _loop(results: Results, sets: Mapping[str, Photos], options: argparse.Namespace) -> None:
    for dataset, images in sets.items():
        for name in (name for name in ROWS if not options.ways or name in options.ways):
            print(f"{time.strftime('%H:%M:%S')} {dataset}: {name}", flush=True)
            runs = [ROWS[name](images, seed, options.answers) for seed in range(options.seeds)]
            results.keep_way(dataset, name, runs, _ran_on())
        if dataset not in (known := results.document.get("all answers", {})):  # always the same
            results.keep("all answers", known | {dataset: loop.of_all(images)}, _ran_on())


def _of_all(choose: Choose, images: Photos, seed: int, most: int | None) -> list[Line]:
    return loop.run(images, choose, seed, most)


def _of_a_day(mix: SamplingMix, images: Photos, seed: int, most: int | None) -> list[Line]:
    return loop.run(images, Paced(mix, loop.ANSWERS, seed), seed, most, A_DAY)


MIXES = {
    "random": SamplingMix(margin=0, random=1, disagreement=0),
    "margin": SamplingMix(margin=1, random=0, disagreement=0),
    "mix": SamplingMix(**MIX),
}
ROWS: dict[str, Callable[[Photos, int, int | None], list[Line]]] = {
    **{way: partial(_of_all, choose) for way, choose in WAYS.items()},
    **{way + DAILY: partial(_of_a_day, mix) for way, mix in MIXES.items()},
}


def _label_errors(results: Results, sets: Mapping[str, Photos], options: argparse.Namespace) -> None:
    images = next(iter(sets.values()))
    pairs = [(kind, seed) for kind in label_errors.KINDS for seed in range(options.seeds)]
    results.keep("label errors", [label_errors.measure(images, kind, seed) for kind, seed in pairs], _ran_on())


def _gate(results: Results, sets: Mapping[str, Photos], options: argparse.Namespace) -> None:
    lines = list(gate.measure(next(iter(sets.values())), options.seeds, RUNS))
    results.keep("gate", lines, _ran_on())


def _drift(results: Results, _: Mapping[str, Photos], options: argparse.Namespace) -> None:
    results.keep("drift", drift.simulate_drift(options.data / "cifar10.zip"), _ran_on())


PARTS: dict[str, Callable[[Results, Mapping[str, Photos], argparse.Namespace], None]] = {
    "loop": _loop,
    "label-errors": _label_errors,
    "gate": _gate,
    "drift": _drift,
}


def _ran_on() -> dict[str, str]:
    return machine() | {
        "measured": time.strftime("%Y-%m-%d %H:%M"),
        "versions": versions("torch", "onnxruntime", "numpy"),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.people", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (all)")
    add("--datasets", nargs="+", choices=DATA_SETS, default=["clothing"], help="of the loop (clothing)")
    add("--ways", nargs="+", metavar="WAY", help=f"of the loop (all): {'; '.join(ROWS)}")
    add("--answers", type=int, default=1900, help="of people in the loop, at most (1900)")
    add("--seeds", type=int, default=3, help="runs of each row (3)")
    add("--data", type=Path, default=DATA, help=f"folder of the zips of real photos; default {DATA}")
    add("--work", type=Path, help="keep the features in this folder, for later runs")
    add("--output", type=Path, default=RESULTS, help="output folder; default benchmarks/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
