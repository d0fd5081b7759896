"""Plot accuracy against wall time."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.training.log import Log, deviation, mean
from benchmarks.training.rows import ROWS, SMALL, Row
from benchmarks.training.targets import both_ways, total_seconds

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

PANELS = {"cifar": "CIFAR-10, whole", "clothing": "photos of clothes"}
COLOURS = {way: f"C{number}" for number, way in enumerate(dict.fromkeys(row.way for row in ROWS))}
SECONDS = (1, 2, 5, 10, 20, 30, 40, 60, 80, 100, 200, 300, 600, 1000, 2000)
TICKS = (0, 20, 50, 70, 80, 90, 95, 98, 99, 99.5, 100)
LEAST_ERROR = 0.3  # percent that are added to the errors of the small sets, which may be none
STAR: dict[str, Any] = {"marker": "*", "markersize": 18, "markerfacecolor": "none"}
LABEL = "seconds from the zip to the model, with preparation"


def plot(log: Log, path: Path) -> None:
    """Write a panel for each large data set, and one for all small ones."""
    panels = [name for name in PANELS if any(_point(log, row) for row in ROWS if row.dataset == name)]
    small = [name for name in SMALL if both_ways(log, name)]
    names = [*panels, *(["small"] if small else [])]
    if not names:
        return
    mosaic = [names[:2], names[2:] * 2] if len(names) > 2 else [names]
    size = (6.2 * len(mosaic[0]), 6 * len(mosaic))
    figure, axes = plt.subplot_mosaic(mosaic, figsize=size, layout="constrained")
    for name in panels:
        _large(axes[name], log, name)
    if small:
        _small(axes["small"], log, small)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _large(axis: Axes, log: Log, dataset: str) -> None:
    """Plot every way with its target, and the validation accuracy during the training of the first seed."""
    rows = [row for row in ROWS if row.dataset == dataset and row.measure in {"train", "keras"}]
    for row in rows:
        point = _point(log, row)
        if point is None:
            continue
        colour = COLOURS[row.way]
        axis.errorbar(*point[:2], yerr=point[2], fmt="o", color=colour, capsize=4, zorder=4, label=row.way)
        axis.plot(*_curve(log, row), color=colour, linewidth=1, alpha=0.5)
        bound = total_seconds(log, row.follows) if row.follows else row.most_s
        if row.least is not None and bound is not None:
            axis.plot([bound], [row.least], markeredgecolor=colour, zorder=3, **STAR)
            text = f"target {row.least:g} %"
            axis.annotate(text, (bound, row.least), (0, -20), textcoords="offset points", fontsize=8, ha="center")
    axis.plot([], [], color="grey", linewidth=1, label="validation during the first seed's training")
    axis.plot([], [], linestyle="", markeredgecolor="black", label="target of the way in this colour", **STAR)
    axis.set(title=PANELS[dataset], ylabel="accuracy, %")
    _finish(axis)
    axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)


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
    axis.set(title="small data sets: from scratch → nothing given", ylabel="test accuracy, %; errors on a log scale")
    axis.set_yscale("function", functions=(_by_errors, _by_accuracy))
    axis.set_yticks([tick for tick in TICKS if tick >= axis.get_ylim()[0]])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_ylim(top=100.1)
    _finish(axis)
    axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)


def _by_errors(percents: Any) -> Any:
    return -np.log10(np.maximum(100 + LEAST_ERROR - percents, 1e-3))


def _by_accuracy(errors: Any) -> Any:
    return 100 + LEAST_ERROR - 10 ** np.minimum(-errors, 3.0)


def _finish(axis: Axes) -> None:
    axis.set(xlabel=LABEL, xscale="log")
    low, high = axis.get_xlim()
    axis.set_xlim(low / 1.1, high * 1.2)
    axis.set_xticks([tick for tick in SECONDS if low / 1.1 <= tick <= high * 1.2])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")
    axis.grid(alpha=0.3)


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
    start = line.get("prepared", {}).get("seconds", 0.0)
    epochs = [(start + seconds, 100 * accuracy) for seconds, accuracy in line.get("epochs", ()) if accuracy is not None]
    return [seconds for seconds, _ in epochs], [percent for _, percent in epochs]
