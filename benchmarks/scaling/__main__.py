"""Serve one load with pools of fixed sizes and with an autoscaled pool, and compare each with the simulator."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.inference.contender import CORES
from benchmarks.inference.facts import machine
from benchmarks.inference.payloads import Case
from benchmarks.inference.subjects import ARCHITECTURES, export_subjects
from benchmarks.inference.tidepool_stack import running
from benchmarks.scaling.load import capacity, short_day
from benchmarks.scaling.provisioning import Provisioning
from benchmarks.scaling.report import Run, write
from scaling.simulation.experiment import Serving
from tidepool_client import Client

RESULTS = Path(__file__).parents[1] / "results"
STARTUP_S = 1.4  # docs/simulate.md
DEADLINE_S = 10.0


def main() -> None:
    options = _options()
    most = max(2, CORES)
    provisionings = (
        Provisioning("fixed at 1", 1, 1),
        Provisioning(f"fixed at {most}", most, most),
        Provisioning(f"0 to {most}", 0, most),
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        (subject,) = export_subjects([options.model], Path(folder))
        with running(Case(subject, "jpeg"), Path(folder)) as stack, Client(stack.url, stack.key) as client:
            provisionings[0].apply(client)
            alone = capacity(stack.request)
            provisionings[1].apply(client)
            together = capacity(stack.request, connections=4 * most)
            trace, serving = short_day(alone), Serving(1 / alone, STARTUP_S, DEADLINE_S)
            runs = {}
            for provisioning in provisionings:
                print(f"{provisioning.name}: {trace.seconds:.0f} s", flush=True)
                measured, requests, samples = provisioning.measure(client, stack.request, trace)
                runs[provisioning.name] = Run(measured, provisioning.simulate(trace, serving), requests, samples)
    how = (
        f"{options.model}, JPEG, on an embedded stack. One replica answers {alone:.1f} requests/s, {most} answer "
        f"{together:.1f}. The load is a Poisson process: 10 s without requests, 20 s at a third of one replica's "
        f"capacity, 40 s at 1.4 times, 20 s at a third, 60 s without requests. The simulator assumes "
        f"{1000 / alone:.1f} ms per request, {STARTUP_S} s to start, and {most} times the capacity for {most} replicas."
    )
    write(runs, trace, how, machine(), options.output)
    print(f"wrote scaling.md, scaling.json and scaling.png to {options.output}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--model", choices=ARCHITECTURES, default="resnet18", help="model to serve (resnet18)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="output folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
