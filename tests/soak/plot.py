"""Draw the series of a soak."""

import itertools
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.soak.recorder import Series

PANELS = {
    "private memory, MiB": " private",
    "threads": " threads",
    "open files": " files",
    "processes": " processes",
}
DISK = ("disk objects of jobs", "disk stray uploads", "disk database", "disk redis", "disk logs", "redis used memory")
STEP = 12  # samples that one point of a rate or of a latency combines


def draw(series: Series, file: Path, title: str) -> None:
    """Write a PNG with a panel for each kind of series, over minutes."""
    figure, panels = plt.subplots(4, 2, figsize=(19, 17), sharex=True, constrained_layout=True)
    axes = iter(panels.flat)
    for label, end in PANELS.items():
        _lines(
            next(axes), label, {name.removesuffix(end): name for name in sorted(series) if name.endswith(end)}, series
        )
    _lines(next(axes), "disk and Redis, MiB", {name.removeprefix("disk "): name for name in DISK}, series)
    _latency(next(axes), series)
    _rates(next(axes), series)
    _lines(next(axes), "jobs", {"ended": "jobs ended", "live": "jobs live"}, series)
    for panel in panels[-1]:
        panel.set_xlabel("minutes")
    figure.suptitle(title)
    figure.savefig(file, dpi=80)
    plt.close(figure)


def _lines(axes: Axes, label: str, names: dict[str, str], series: Series) -> None:
    for number, (shown, name) in enumerate(names.items()):
        points = series.get(name, [])
        style = ("-", "--", ":")[number // 10 % 3]
        axes.plot([at / 60 for at, _ in points], [value for _, value in points], style, label=shown, linewidth=1.2)
    _finish(axes, label)


def _latency(axes: Axes, series: Series) -> None:
    for name in ("neighbour p99", "neighbour p50"):
        points = [point for point in series.get(name, []) if point[1] > 0]
        axes.plot([at / 60 for at, _ in points], [value for _, value in points], label=name, linewidth=1)
    axes.set_yscale("log")
    _finish(axes, "latency of a neighbour, ms (each 5 s)", zero=False)


def _rates(axes: Axes, series: Series) -> None:
    for name in sorted(series):
        if name.startswith("answers "):
            points = series[name][::STEP]
            pairs = list(itertools.pairwise(points))
            minutes = [later[0] / 60 for _, later in pairs]
            axes.plot(
                minutes,
                [60 * (later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in pairs],
                label=name.removeprefix("answers "),
                linewidth=1.2,
            )
    axes.set_yscale("symlog")
    _finish(axes, "answers a minute")


def _finish(axes: Axes, label: str, zero: bool = True) -> None:
    axes.set_title(label, fontsize=11)
    if zero:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
