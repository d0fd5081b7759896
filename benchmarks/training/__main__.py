"""Trains real data sets through the handler of training jobs, and compares accuracy and seconds with targets.

Run it on an idle machine. The test split is read only for the last column.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.training.bare import overhead
from benchmarks.training.data import from_zip
from benchmarks.training.task import LocalTask
from contract.images import ImageSpec
from services.trainer.worker import train

PHOTOS, TINY = ImageSpec(size=(224, 224), resize="crop"), ImageSpec()


@dataclass(frozen=True)
class Row:
    """A training of a data set, its fewest percent of right answers on test, and its most seconds."""

    name: str
    file: str
    image: ImageSpec
    spec: dict[str, Any]
    percent: float
    seconds: float


ROWS = (
    Row("clothing", "clothing.zip", PHOTOS, {}, 88, 60),
    Row("clothing-10min", "clothing.zip", PHOTOS, {"budget": {"minutes": 10}}, 90, 660),
    Row("cifar-sample", "cifar10-sample.zip", TINY, {}, 70, 60),
    Row("cifar", "cifar10.zip", TINY, {}, 75, 65),
    Row("cifar-10min", "cifar10.zip", TINY, {"budget": {"minutes": 10}}, 88, 660),
    Row(
        "classic",
        "cifar10.zip",
        TINY,
        {
            "architecture": {"name": "mlp"},
            "epochs": 10,
            "batch_size": 32,
            "optimizer": {"name": "adam", "lr": 1e-3},
            "schedule": "constant",
            "augment": False,
        },
        40.3,
        65,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the zips")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS] + ["overhead"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    names = options.only or [*(row.name for row in ROWS), "overhead"]
    print(
        "| training | seed | method | val % | test % | target | seconds | target |\n|---|---|---|---|---|---|---|---|"
    )
    for row in ROWS:
        if row.name in names:
            arrays = from_zip(options.data / row.file, row.image)
            for seed in range(options.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    task = LocalTask(Path(folder), arrays, row.image, row.spec | {"seed": seed})
                    started = time.perf_counter()
                    manifest = train(task)
                    seconds = time.perf_counter() - started
                method = next((c.value for c in manifest.decisions if c.what == "method"), "as requested")
                val, test = (100 * m.accuracy for m in (manifest.metrics.val, manifest.metrics.test))
                cells = (row.name, seed, method, f"{val:.1f}", f"{test:.1f}", f"≥ {row.percent}", f"{seconds:.0f}")
                print(f"| {' | '.join(map(str, cells))} | ≤ {row.seconds:.0f} |", flush=True)
    if "overhead" in names:
        print(overhead(from_zip(options.data / "cifar10-sample.zip", TINY)))


if __name__ == "__main__":
    main()
