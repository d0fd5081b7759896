"""Measure searches on an embedded stack: two replicas against one, and their gain over the default at equal time.

Writes search.md and search.json; a part that is left out keeps its last result there. Run it on an idle machine; the
two parts take about an hour on two cores.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.inference.facts import machine
from benchmarks.page import table
from benchmarks.preprocess.stack import embedded
from benchmarks.training.datasets import DATA_SETS
from contract.kinds.train import TrainResult
from tidepool_client import Client

DATA = Path("../shared/data")
RESULTS = Path(__file__).parents[1] / "results"
GOAL = 0.55  # of the time of one replica
GAINS = ("clothing", "cifar-sample")
GAIN = """\
The default is one training with a budget. A search has the same minutes on the same replica, so its trials are shorter.
Its model is the average of up to three trials; *best alone* is the accuracy of the best one on the validation split.
"""
MOST_MEMBERS = 3  # of the ensemble that a search may publish
SPREAD = {
    "architecture": {"name": "cnn"},
    "epochs": 6,
    "search": {"trials": 8, "parallel": 4, "early_stop": "none", "sampler": "random"},
}
RATES = {"low": 0.02, "high": 1.0, "log": True}
OVER = {  # short trials, so that several end in some minutes on two cores
    "clothing": {"method": ["probe"], "init_from": ["lite0", "lite1", "lite2"]},
    "cifar-sample": {
        "architecture.width": [1, 2],
        "epochs": {"low": 10, "high": 30},
        "optimizer.lr": {"low": 0.1, "high": 1.0, "log": True},
        "augment.shift": [0.0625, 0.125],
        "augment.erase": [0.0, 0.25],
        "label_smoothing": [0.0, 0.1],
    },
}


def main() -> None:
    options = _options()
    known = options.output / "search.json"
    lines: dict[str, Any] = (json.loads(known.read_text()) if known.exists() else {}) | {"machine": machine()}
    if not options.no_spread:
        os.environ["OMP_NUM_THREADS"] = "1"  # one thread a replica
        with _stack(options.data, ["cifar-sample"]) as client:
            lines["spread"] = [_spread(client, count) for _ in range(options.rounds) for count in (1, 2)]
        del os.environ["OMP_NUM_THREADS"]
    if options.gain:
        with _stack(options.data, options.gain) as client:
            others = [row for row in lines.get("gain", []) if row["dataset"] not in options.gain]
            lines["gain"] = others + [row for name in options.gain for row in _gain(client, name, options.minutes)]
    options.output.mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(lines, indent=2) + "\n")
    (options.output / "search.md").write_text("\n".join(_page(lines)))
    print(f"wrote search.md and search.json to {options.output}")


@contextmanager
def _stack(data: Path, names: list[str]) -> Iterator[Client]:
    """Run a stack with these data sets."""
    scales = {"preprocess": 1, "trainer": 1, "inference": 0}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, embedded(Path(folder), scales) as client:
        for name in names:
            archive = DATA_SETS[name].write(Path(folder) / f"{name}.zip", data)
            client.jobs.wait(client.datasets.upload(name, archive).id)
        yield client


def _spread(client: Client, replicas: int) -> dict[str, float]:
    """Return the seconds of eight trials with this many replicas of one thread each, and of the epochs of a replica."""
    client.pools.scale("trainer", replicas)
    while next(pool for pool in client.pools.list() if pool.name == "trainer").replicas.ready != replicas:
        time.sleep(0.2)
    spec = SPREAD | {"search": SPREAD["search"] | {"over": {"optimizer.lr": RATES}}}  # type: ignore[operator]
    job = client.jobs.wait(client.train("cifar-sample", "spread", **spec).id)
    if job.finished_at is None:
        raise RuntimeError("a job that has succeeded has no end")
    study = TrainResult.model_validate(job.result).study
    outcomes = [client.jobs.get(trial.job).result or {} for trial in study.trials] if study else []
    epochs = sum(epoch["seconds"] for outcome in outcomes for epoch in outcome["epochs"]) / replicas
    return {"replicas": replicas, "seconds": (job.finished_at - job.created_at).total_seconds(), "epochs": epochs}


def _gain(client: Client, name: str, minutes: float) -> list[dict[str, Any]]:
    """Train a data set by default with a budget, and by a search of the same time."""
    client.pools.scale("trainer", 1)
    ways = {"default": {"budget": {"minutes": minutes}}, "search": {"search": _search(name, minutes)}}
    rows = []
    for way, spec in ways.items():
        started = time.monotonic()
        job = client.jobs.wait(client.train(name, f"{name}-{way}", **spec).id)
        seconds = time.monotonic() - started
        result = TrainResult.model_validate(job.result)
        accuracies = {split: values.accuracy for split, values in result.metrics if values is not None}
        row: dict[str, Any] = {"dataset": name, "way": way, "seconds": seconds, "trials": 1, **accuracies}
        if study := result.study:
            alone = next(trial.value for trial in study.trials if trial.number == study.best)
            ended = sum(trial.value is not None for trial in study.trials)
            row |= {"trials": ended, "members": max(len(study.members), 1), "alone": alone}
            row["table"] = [trial.model_dump(mode="json", exclude={"job"}) for trial in study.trials]
        rows.append(row)
    return rows


def _search(name: str, minutes: float) -> dict[str, Any]:
    return {"trials": 16, "minutes": minutes, "parallel": 1, "over": OVER[name], "ensemble": MOST_MEMBERS}


def _page(lines: dict[str, Any]) -> list[str]:
    page = ["# Search", "", "Made by `make bench-search`.", ""]
    page += [f"* {name}: {value}" for name, value in lines["machine"].items()] + [""]
    if spread := lines.get("spread"):
        seconds, epochs = ({n: _median(spread, n, name) for n in (1, 2)} for name in ("seconds", "epochs"))
        share, limit = seconds[2] / seconds[1], epochs[2] / epochs[1]
        page += [f"Eight trials of CIFAR-10's sample: two replicas take {share:.2f} × the time of one (goal {GOAL})."]
        page += [f"Their epochs alone take {limit:.2f} ×.", ""]
        cells = ((str(n), f"{seconds[n]:.1f}", f"{epochs[n]:.1f}") for n in (1, 2))
        page += table(("replicas", "> seconds", "> of which epochs, for each replica"), cells)
    if gain := lines.get("gain"):
        numbers = ("> trials", "> averaged", "> minutes", "> best alone %", "> val %", "> test %")
        cells = (
            (
                row["dataset"],
                row["way"],
                str(row["trials"]),
                str(row.get("members", 1)),
                f"{row['seconds'] / 60:.1f}",
                *(f"{100 * row[value]:.1f}" if value in row else "–" for value in ("alone", "val", "test")),
            )
            for row in gain
        )
        page += [*GAIN.splitlines(), "", *table(("data set", "way", *numbers), cells)]
    return page


def _median(rows: list[dict[str, float]], replicas: int, name: str) -> float:
    return statistics.median(row[name] for row in rows if row["replicas"] == replicas)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the zips of the real data sets")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each number of replicas (3)")
    parser.add_argument("--gain", nargs="*", choices=GAINS, default=GAINS, help="data sets to search (all)")
    parser.add_argument("--minutes", type=float, default=20.0, help="budget of the default and of a search, each (20)")
    parser.add_argument("--no-spread", action="store_true", help="leave out the comparison of replicas")
    parser.add_argument("--output", type=Path, default=RESULTS, help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
