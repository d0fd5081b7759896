"""Prepare small images and photos on an embedded stack, and compare photos with libjpeg-turbo alone."""

import argparse
import os
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.inference.contender import CORES
from benchmarks.inference.facts import machine
from benchmarks.preprocess import archives
from benchmarks.preprocess.libjpeg import images_per_second
from benchmarks.preprocess.report import write
from benchmarks.preprocess.stack import Preparation, prepare, running

RESULTS = Path(__file__).parents[1] / "results"
COUNTS = (1_000, 10_000, 100_000, 600_000)
REDUCED_SIDE = 2 * 224  # to which preprocessing reduces photos before it resizes them


def main() -> None:
    options = _options()
    runs: dict[str, list[Preparation]] = defaultdict(list)
    baselines: dict[str, float] = {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with running(folder) as client:

            def measure(subject: str, archive: Path, replicas: int) -> None:
                run = prepare(client, f"set-{len(runs)}", archive, replicas)
                print(f"{subject}: {run}", flush=True)
                runs[subject].append(run)

            path = options.cifar or archives.cifar(folder / "cifar.zip", 60_000)
            for replicas in (1, 2):
                measure("CIFAR-10", path, replicas)
            for count in options.counts:
                path = archives.small(folder / "small.zip", count)
                measure("small images", path, CORES)
                path.unlink()
            if options.photos:
                path = archives.photos(folder / "photos.zip", options.photos)
                measure("12-megapixel photos", path, CORES)
                baselines = {
                    f"{CORES} threads, at full size": images_per_second(path, 0),
                    f"{CORES} threads, reduced to {REDUCED_SIDE} pixels or more": images_per_second(path, REDUCED_SIDE),
                }
    ran_on = machine() | {"load average at the start": f"{load:.1f}, which should be near 0 for times to count"}
    write(runs, baselines, ran_on, options.output)
    print(f"wrote preprocess.md and preprocess.json to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preprocess", description=__doc__)
    parser.add_argument("--cifar", type=Path, help="a zip of CIFAR-10; default: the sample of it, repeated ten times")
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS, help="numbers of small images")
    parser.add_argument("--photos", type=int, default=200, help="number of photos; 0 leaves them out")
    parser.add_argument("--output", type=Path, default=RESULTS, help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
