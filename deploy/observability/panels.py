"""Panels and queries of Grafana dashboards, as the JSON that Grafana reads."""

from collections.abc import Sequence
from typing import Any

SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24
RATE = "[$__rate_interval]"

Json = dict[str, Any]
Query = tuple[str, str]
"""An expression, and the legend of its series."""


def lines(
    title: str,
    unit: str,
    *queries: Query,
    width: int = 8,
    description: str = "",
    stack: bool = False,
    at_most: float = 0,
) -> Json:
    """Return a panel of lines over time; `at_most` ends the axis."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 30 if stack else 5, "showPoints": "never"}
    if stack:
        custom["stacking"] = {"mode": "normal"}
    defaults = {"unit": unit, "min": 0, "custom": custom} | ({"max": at_most} if at_most else {})
    return _panel("timeseries", title, queries, width, 8, description) | {
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def number(title: str, unit: str, expression: str, warn: float | None = None) -> Json:
    """Return a panel with the latest value, which is orange from `warn` on."""
    steps: list[Json] = [{"color": "green", "value": None}]
    if warn is not None:
        steps.append({"color": "orange", "value": warn})
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, "noValue": "none"}
    return _panel("stat", title, [(expression, "")], 4, 4, "") | {
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "value"},
    }


def latest(metric: str, by: str = "", of: str = "", *, how: str = "max", legend: str = "") -> Query:
    """Return a query for the current value; `by` are labels, `of` selects series."""
    return f"{how}{_by(by)}({_selected(metric, of)})", _legend(by, legend)


def rate(counter: str, by: str = "", of: str = "", *, legend: str = "") -> Query:
    """Return a query for the increase of a counter per second."""
    return f"sum{_by(by)}(rate({_selected(counter, of)}{RATE}))", _legend(by, legend)


def increase(counter: str, by: str = "", of: str = "", *, legend: str = "") -> Query:
    """Return a query for the increase of a counter between two points of the panel."""
    return f"sum{_by(by)}(increase({_selected(counter, of)}{RATE}))", _legend(by, legend)


def present(query: Query) -> Query:
    """Return a query without the series that are 0."""
    expression, legend = query
    return f"{expression} > 0", legend


def mean(histogram: str, by: str, of: str = "") -> Query:
    """Return a query for the mean of what a histogram observed."""
    total, count = (rate(f"{histogram}_{part}", by, of)[0] for part in ("sum", "count"))
    return f"{total} / {count}", _legend(by, "")


def quantiles(histogram: str, by: str = "", of: str = "", shares: Sequence[float] = (0.5, 0.99)) -> list[Query]:
    """Return queries for quantiles of what a histogram observed."""
    buckets = rate(f"{histogram}_bucket", ", ".join(filter(None, ("le", by))), of)[0]
    legend = f"{_legend(by, '')} " if by else ""
    return [(f"histogram_quantile({share}, {buckets})", f"{legend}p{share * 100:g}") for share in shares]


def dashboard(name: str, *panels: Json, by_model: bool = False) -> Json:
    """Return a dashboard with its panels from left to right, row by row."""
    x = y = height = 0
    for index, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > COLUMNS:
            x, y, height = 0, y + height, 0
        panel |= {"id": index, "gridPos": place | {"x": x, "y": y}}
        x, height = x + place["w"], max(height, place["h"])
    return {
        "uid": f"tidepool-{name}",
        "title": f"Tidepool {name}",
        "tags": ["tidepool"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [MODELS] if by_model else []},
        "annotations": {"list": [ALERTS]},
        "links": [{"type": "dashboards", "tags": ["tidepool"], "title": "Tidepool", "keepTime": True}],
        "panels": list(panels),
    }


MODELS: Json = {
    "name": "model",
    "label": "Model",
    "type": "query",
    "datasource": SOURCE,
    "query": {"query": "label_values(tidepool_prediction_seconds_count, model)", "refId": "models"},
    "refresh": 2,
    "includeAll": True,
    "allValue": ".*",
    "multi": True,
    "current": {"text": "All", "value": "$__all"},
}
ALERTS: Json = {
    "name": "Alerts",
    "datasource": SOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertname=~"Tidepool.*", alertstate="firing"}',
    "titleFormat": "{{alertname}}",
}


def _panel(kind: str, title: str, queries: Sequence[Query], width: int, height: int, description: str) -> Json:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
        for index, (expression, legend) in enumerate(queries)
    ]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": targets,
        "gridPos": {"w": width, "h": height},
    }


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""


def _selected(metric: str, of: str) -> str:
    return f"{metric}{{{of}}}" if of else metric


def _legend(labels: str, legend: str) -> str:
    """Return the values of the labels, then the text."""
    return " ".join([*(f"{{{{{label}}}}}" for label in labels.split(", ") if label), *([legend] if legend else [])])
