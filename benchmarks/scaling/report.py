"""Write the results: a table, the raw numbers and a plot."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl

from benchmarks.scaling.load import TimedRequest
from benchmarks.scaling.provisioning import Figures
from benchmarks.scaling.watch import PoolSample
from scaling.simulation.trace import Trace

mpl.use("Agg")

from matplotlib import pyplot as plt


@dataclass(frozen=True)
class Run:
    """One way to provision the pool, measured and simulated."""

    measured: Figures
    simulated: Figures
    requests: Sequence[TimedRequest]
    samples: Sequence[PoolSample]


def write(runs: Mapping[str, Run], trace: Trace, how: str, ran_on: Mapping[str, str], folder: Path) -> None:
    """Write scaling.md, scaling.json and scaling.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scaling.md").write_text(_markdown(runs, how, ran_on))
    figures = {
        name: {"measured": asdict(run.measured), "simulated": asdict(run.simulated)} for name, run in runs.items()
    }
    samples = {name: [asdict(sample) for sample in run.samples] for name, run in runs.items()}
    (folder / "scaling.json").write_text(json.dumps({"how": how, "figures": figures, "looks": samples}) + "\n")
    _plot(runs, trace, folder / "scaling.png")


def _markdown(runs: Mapping[str, Run], how: str, ran_on: Mapping[str, str]) -> str:
    lines = ["# Scaling: a pool under a short day", "", how, "", "![the pool over time](scaling.png)", ""]
    lines += [
        "| pool | | p50 s | p95 s | p99 s | requests | too late | replica-seconds |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, run in runs.items():
        for kind, figures in (("measured", run.measured), ("simulated", run.simulated)):
            took = " | ".join(f"{seconds:.2f}" for seconds in figures.took_s)
            lines.append(
                f"| {name} | {kind} | {took} | {figures.requests} | {figures.failed} | {figures.replica_s:.0f} |"
            )
    lines += ["", *(f"* {name}: {value}" for name, value in ran_on.items()), ""]
    return "\n".join(lines)


def _plot(runs: Mapping[str, Run], trace: Trace, path: Path) -> None:
    """Plot load, replicas and response times over time."""
    figure, (load, replicas, waits) = plt.subplots(3, 1, figsize=(9, 9), sharex=True)
    load.step([*trace.starts, trace.seconds], [*trace.rates, 0], where="post", color="grey")
    load.set_ylabel("requests/s")
    for name, run in runs.items():
        replicas.step(
            [sample.at for sample in run.samples],
            [sample.ready or 0 for sample in run.samples],
            where="post",
            label=name,
        )
        waits.plot(
            [request.at for request in run.requests],
            [request.took_s for request in run.requests],
            ".",
            markersize=2,
            label=name,
        )
    replicas.set_ylabel("ready replicas")
    waits.set(ylabel="seconds to the response", xlabel="seconds", yscale="log")
    for panel in (load, replicas, waits):
        panel.grid(alpha=0.3)
    replicas.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
