"""Serves one load by pools of fixed sizes and by one that follows it, beside what the simulator says of each."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.inference.contender import CORES
from benchmarks.inference.facts import machine
from benchmarks.inference.payloads import Case
from benchmarks.inference.subjects import ARCHITECTURES, export_subjects
from benchmarks.inference.tidepool_stack import running
from benchmarks.scaling.load import capacity, short_day
from benchmarks.scaling.report import Run, write
from benchmarks.scaling.ways import Way
from tidepool.client import Client
from tidepool.simulate.experiment import Serving

RESULTS = Path(__file__).parents[1] / "results"
STARTUP_S = 1.4  # docs/simulate.md
DEADLINE_S = 10.0


def main() -> None:
    options = _options()
    most = max(2, CORES)
    ways = (Way("fixed at 1", 1, 1), Way(f"fixed at {most}", most, most), Way(f"0 to {most}", 0, most))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (subject,) = export_subjects([options.model], Path(folder))
        with running(Case(subject, "jpeg"), Path(folder)) as stack, Client(stack.url, stack.key) as client:
            ways[0].set(client)
            alone = capacity(stack.request)
            ways[1].set(client)
            together = capacity(stack.request, connections=4 * most)
            trace, serving = short_day(alone), Serving(1 / alone, STARTUP_S, DEADLINE_S)
            runs = {}
            for way in ways:
                print(f"{way.name}: {trace.seconds:.0f} s", flush=True)
                measured, asked, looks = way.measure(client, stack.request, trace)
                runs[way.name] = Run(measured, way.simulate(trace, serving), asked, looks)
    how = (
        f"{options.model}, JPEG, on an embedded stack. One replica answers {alone:.1f} a second, {most} answer "
        f"{together:.1f}. The load is a Poisson process: 10 s nothing, 20 s at a third of what one replica answers, 40 "
        f"s at 1.4 times, 20 s at a third, 60 s nothing. The simulator is told of {1000 / alone:.1f} ms a request and "
        f"{STARTUP_S} s to start, and takes {most} replicas to answer {most} times as much."
    )
    write(runs, trace, how, machine(), options.output)
    print(f"wrote scaling.md, scaling.json and scaling.png to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--model", choices=ARCHITECTURES, default="resnet18", help="what is served (resnet18)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder to write to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
