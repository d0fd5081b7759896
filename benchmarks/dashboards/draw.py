"""Draw a Grafana dashboard from its JSON and a Prometheus, panel by panel, in the same grid."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

COLUMNS = 24
WIDTH, ROW, HEAD, GAP = 16, 0.33, 0.42, 0.04  # inches
STEP_S = 5
MOST_LEGENDS = 12
VARIABLES = {"$__rate_interval": "30s", "$model": ".*"}
SCALES = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")), "bytes": ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))}
RATES = {"reqps": "/s", "cps": "/s"}
BACKGROUND, PANEL, TEXT, LINES = "#111217", "#181b1f", "#ccccdc", "#2c3037"
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ffcb7d", "#96d98d", "#ca95e5")

Series = tuple[str, list[float], list[float]]
"""The legend of a series, minutes since the start, and values."""


class Prometheus:
    """A Prometheus and the time that is drawn, in Unix seconds."""

    def __init__(self, url: str, start: float, end: float) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self._start, self._end = start, end

    @property
    def minutes(self) -> float:
        """The length of the time."""
        return (self._end - self._start) / 60

    def series(self, target: Mapping[str, Any]) -> list[Series]:
        """Return the series of a panel's target."""
        rows = self._get("query_range", query=_filled(target["expr"]), start=self._start, end=self._end, step=STEP_S)
        return [
            (
                _legend(target["legendFormat"], row["metric"]),
                [(at - self._start) / 60 for at, _ in row["values"]],
                [float(value) for _, value in row["values"]],
            )
            for row in rows
        ]

    def latest(self, target: Mapping[str, Any]) -> float:
        """Return the value of a target at the end, NaN if there is none."""
        rows = self._get("query", query=_filled(target["expr"]), time=self._end)
        return float(rows[0]["value"][1]) if rows else math.nan

    def _get(self, path: str, **parameters: Any) -> list[Any]:
        response = self._http.get(f"/api/v1/{path}", params=parameters)
        response.raise_for_status()
        return list(response.json()["data"]["result"])


def draw(dashboard: Mapping[str, Any], prometheus: Prometheus, file: Path) -> None:
    """Write a picture of the dashboard; the file's ending is its format."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"])
    height = HEAD + rows * ROW
    figure = plt.figure(figsize=(WIDTH, height), facecolor=BACKGROUND)
    figure.text(0.1 / WIDTH, 1 - 0.12 / height, dashboard["title"], color=TEXT, fontsize=13, va="top")
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, wide = place["x"] * WIDTH / COLUMNS + GAP, place["w"] * WIDTH / COLUMNS - 2 * GAP
        bottom, high = height - HEAD - (place["y"] + place["h"]) * ROW + GAP, place["h"] * ROW - 2 * GAP
        frame = (left / WIDTH, bottom / height, wide / WIDTH, high / height)
        figure.add_artist(Rectangle(frame[:2], *frame[2:], facecolor=PANEL, transform=figure.transFigure, zorder=-1))
        title = (left + 0.08) / WIDTH, (bottom + high - 0.07) / height
        figure.text(*title, panel["title"], color=TEXT, fontsize=8, va="top")
        inner = (left + 0.55) / WIDTH, (bottom + 0.55) / height, (wide - 0.8) / WIDTH, (high - 0.85) / height
        axes = figure.add_axes(inner, facecolor=PANEL)
        _number(axes, panel, prometheus) if panel["type"] == "stat" else _lines(axes, panel, prometheus)
    figure.savefig(file, dpi=80, facecolor=BACKGROUND, pil_kwargs={"quality": 85})
    plt.close(figure)


def _lines(axes: Axes, panel: Mapping[str, Any], prometheus: Prometheus) -> None:
    drawn = [series for target in panel["targets"] for series in prometheus.series(target)]
    defaults = panel["fieldConfig"]["defaults"]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(drawn))]
    if defaults["custom"].get("stacking"):
        _stack(axes, drawn, colours)
    else:
        for (legend, minutes, values), colour in zip(drawn, colours, strict=True):
            axes.plot(minutes, values, color=colour, linewidth=1, label=legend)
    values = [value for _, _, values in drawn for value in values if math.isfinite(value)]
    axes.set_xlim(0, prometheus.minutes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minute, _: f"{minute:g} min"))
    axes.set_ylim(0, (defaults.get("max") or 1.05 * axes.get_ylim()[1]) if any(values) else 1)
    axes.yaxis.set_major_formatter(FuncFormatter(formatter(defaults["unit"], max(values, default=0.0))))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if not any(values):
        axes.set_yticks([0])
    if not values:
        axes.text(0.5, 0.5, "no data", color=TEXT, alpha=0.5, fontsize=8, ha="center", transform=axes.transAxes)
    axes.tick_params(colors=TEXT, labelsize=6.5, length=0)
    axes.grid(color=LINES, linewidth=0.5)
    axes.spines[:].set_visible(False)
    if drawn and values:
        columns = max(1, int(panel["gridPos"]["w"] * 0.6 / (max(len(legend) for legend, *_ in drawn) * 0.075 + 0.4)))
        axes.legend(
            *(entries[:MOST_LEGENDS] for entries in axes.get_legend_handles_labels()),
            **{"fontsize": 5.5, "labelcolor": TEXT, "frameon": False, "handlelength": 1, "columnspacing": 1},
            ncols=min(columns, 6),
            loc="upper left",
            bbox_to_anchor=(-0.05, -0.09),
            borderpad=0,
        )


def _stack(axes: Axes, drawn: list[Series], colours: list[str]) -> None:
    times = sorted({minute for _, minutes, _ in drawn for minute in minutes})
    by_time = [dict(zip(minutes, values, strict=True)) for _, minutes, values in drawn]
    heights = [[values.get(minute, 0.0) for minute in times] for values in by_time]
    if times:
        axes.stackplot(times, heights, labels=[legend for legend, _, _ in drawn], colors=colours, alpha=0.6)


def _number(axes: Axes, panel: Mapping[str, Any], prometheus: Prometheus) -> None:
    value, defaults = prometheus.latest(panel["targets"][0]), panel["fieldConfig"]["defaults"]
    steps = defaults["thresholds"]["steps"]
    warns = len(steps) > 1 and value >= steps[1]["value"]
    text = "none" if math.isnan(value) else formatter(defaults["unit"], value)(value, None)
    axes.text(0.5, 0.45, text, color="#ff9830" if warns else "#73bf69", fontsize=17, ha="center", va="center")
    axes.set_axis_off()


def formatter(unit: str, largest: float) -> Callable[[float, object], str]:
    """Return a function that writes values of a unit of Grafana, at the scale of the largest one."""
    if unit == "percentunit":
        return lambda value, _: f"{100 * value:.3g} %"
    kind = "bytes" if unit == "Bps" else unit
    if kind in SCALES:
        scale, name = next((pair for pair in SCALES[kind] if not largest or largest >= pair[0]), SCALES[kind][-1])
        return lambda value, _: f"{value / scale:.4g} {name}{'/s' if unit == 'Bps' else ''}"
    return lambda value, _: f"{value:.4g} {RATES.get(unit, '')}".strip()


def _filled(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def _legend(form: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        form = form.replace(f"{{{{{name}}}}}", value)
    return form
