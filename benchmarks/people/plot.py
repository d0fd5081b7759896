"""Plot accuracy against answers of people."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

from benchmarks.people.curves import Curve

mpl.use("Agg")

from matplotlib import pyplot as plt

SHOWN = ("random", "margin", "mix", "entropy")  # of all images, without the variants
DAILY = ", 400 a day"  # ends the names of ways that see 400 images a day


def plot(curves: Mapping[str, Mapping[str, Curve]], everything: Mapping[str, float], path: Path) -> None:
    """Write a panel for each data set, and one for each whose images come day by day; bands are standard deviations.

    `everything` has the accuracy by data set once all images have an answer.
    """
    panels = [
        (dataset, suffix, {way: of_set[way + suffix] for way in SHOWN if way + suffix in of_set})
        for dataset, of_set in curves.items()
        for suffix in ("", DAILY)
    ]
    panels = [panel for panel in panels if panel[2]]
    figure, axes = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 5), layout="constrained", squeeze=False)
    for axis, (dataset, suffix, ways) in zip(axes[0], panels, strict=True):
        for number, (way, curve) in enumerate(ways.items()):
            mean, deviation = 100 * curve.mean, 100 * curve.deviation
            axis.plot(curve.answers, mean, color=f"C{number}", label=way)
            axis.fill_between(curve.answers, mean - deviation, mean + deviation, color=f"C{number}", alpha=0.15)
        if dataset in everything:
            axis.axhline(100 * everything[dataset], color="grey", linestyle="--", label="all images have an answer")
        axis.set(title=dataset + suffix, xlabel="answers of people", ylabel="accuracy on the frozen test split, %")
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)
