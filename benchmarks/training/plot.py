"""Plot accuracy against wall time."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.training.log import Log, deviation, mean
from benchmarks.training.rows import ROWS, SMALL, Row
from benchmarks.training.targets import both_ways, total_seconds

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PANELS = {"cifar": "CIFAR-10, 45,000 training images", "clothing": "clothing, 3,068 training photos"}
LABEL = "seconds from the zip to the model, with preparation"


def plot(log: Log, path: Path) -> None:
    """Write a panel for each large data set, and one for all small ones."""
    panels = [name for name in PANELS if any(_point(log, row) for row in ROWS if row.dataset == name)]
    small = [name for name in SMALL if both_ways(log, name)]
    count = len(panels) + bool(small)
    if not count:
        return
    figure, axes = plt.subplots(1, count, figsize=(6.2 * count, 5.2), squeeze=False, layout="constrained")
    for axis, name in zip(axes.flat, panels, strict=False):
        _large(axis, log, name)
    if small:
        _small(axes.flat[-1], log, small)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _large(axis: Axes, log: Log, dataset: str) -> None:
    """Plot every way with its target, and the validation accuracy during the training of the first seed."""
    rows = [row for row in ROWS if row.dataset == dataset and row.measure in {"train", "keras"}]
    for number, row in enumerate(rows):
        point = _point(log, row)
        if point is None:
            continue
        colour = f"C{number}"
        axis.errorbar(*point[:2], yerr=point[2], fmt="o", color=colour, capsize=4, zorder=3, label=row.way)
        axis.plot(*_curve(log, row), color=colour, linewidth=1, alpha=0.5)
        bound = total_seconds(log, row.follows) if row.follows else row.most_s
        if row.least is not None and bound is not None:
            axis.plot([bound], [row.least], marker="*", markersize=14, color=colour, markeredgecolor="black", zorder=4)
            axis.annotate(f"≥ {row.least:g} %", (bound, row.least), (8, -12), textcoords="offset points", fontsize=8)
    axis.plot([], [], "*", color="white", markeredgecolor="black", markersize=12, label="target, of the same colour")
    axis.plot([], [], color="grey", linewidth=1, label="validation during training")
    axis.set(title=PANELS[dataset], ylabel="accuracy, %")
    _finish(axis)
    axis.legend(fontsize="small", loc="lower right")


def _small(axis: Axes, log: Log, datasets: list[str]) -> None:
    """Plot an arrow for each data set, from the training from scratch to what nothing given leads to."""
    for number, name in enumerate(datasets):
        colour: Any = f"C{number}"
        pairs = [(total_seconds(log, row), mean(log.values(row, "test"))) for row in (f"{name}-default", name)]
        start, end = pairs
        axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "alpha": 0.6, "shrinkB": 4})
        axis.plot(*start, "o", markerfacecolor="white", color=colour)
        axis.plot(*end, "o", color=colour, label=name)
    axis.plot([], [], "o", markerfacecolor="white", color="black", label="from scratch at 32×32")
    axis.plot([], [], "o", color="black", label="nothing given")
    axis.set(title="small data sets", ylabel="test accuracy, %")
    _finish(axis)
    axis.legend(fontsize="small", loc="best", ncols=2)


def _finish(axis: Axes) -> None:
    axis.set(xlabel=LABEL, xscale="log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.grid(alpha=0.3, which="both")


def _point(log: Log, row: Row) -> tuple[float, float, float] | None:
    """Return the mean seconds, the mean accuracy on test and its deviation."""
    seconds, percents = total_seconds(log, row.name), log.values(row.name, "test")
    middle = mean(percents)
    if seconds is None or middle is None:
        return None
    return seconds, middle, deviation(percents) or 0.0


def _curve(log: Log, row: Row) -> tuple[list[float], list[float]]:
    """Return the seconds and the validation accuracies of the epochs of the first seed, as far as they are known."""
    line = log.lines(row.name)[0]
    now = line.get("prepared", {}).get("seconds", 0.0)
    seconds, percents = [], []
    for took, accuracy in line.get("epochs", ()):
        now += took
        if accuracy is not None:
            seconds.append(now)
            percents.append(100 * accuracy)
    return seconds, percents
