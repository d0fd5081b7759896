"""Plot a simulation as SVG, without a plotting library because it needs only lines."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from scaling.simulation.outcome import Moment, Outcome

WIDTH, HEIGHT, LEFT, GAP, TOP = 860, 150, 70, 46, 30  # pixels of a panel, and around it
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


class Series(NamedTuple):
    name: str
    colour: str
    values: Sequence[float]


def draw(title: str, outcomes: dict[str, Outcome]) -> str:
    """Return SVG with requests per second, replicas and oldest wait over time, one line per outcome."""
    colours = dict(zip(outcomes, COLOURS, strict=False))
    columns = {name: _columns(outcome.moments) for name, outcome in outcomes.items()}
    first = next(iter(columns.values()))
    hours = next(iter(outcomes.values())).moments[-1].at / 3600
    panels = {
        "requests/s": [Series("", "#555", [moment.requests_per_second for moment in first])],
        "replicas": [
            Series(name, colours[name], [moment.held for moment in moments]) for name, moments in columns.items()
        ],
        "oldest wait, s": [
            Series("", colours[name], [moment.oldest_s for moment in moments]) for name, moments in columns.items()
        ],
    }
    height = TOP + len(panels) * (HEIGHT + GAP)
    body = [_panel(TOP + number * (HEIGHT + GAP), *panel, hours) for number, panel in enumerate(panels.items())]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>\n{"".join(body)}</svg>\n'
    )


def _columns(moments: Sequence[Moment]) -> list[Moment]:
    """Reduce to one moment per pixel with the largest values, so that no peak is lost."""
    size = -(-len(moments) // WIDTH)
    groups = (moments[start : start + size] for start in range(0, len(moments), size))
    return [
        Moment(
            group[-1].at,
            max(moment.requests_per_second for moment in group),
            max(moment.held for moment in group),
            max(moment.oldest_s for moment in group),
        )
        for group in groups
    ]


def _panel(top: int, name: str, lines: Sequence[Series], hours: float) -> str:
    largest = max(max(line.values) for line in lines) or 1.0
    bottom = top + HEIGHT
    parts = [
        f'<path d="M{LEFT} {top}V{bottom}H{LEFT + WIDTH}" fill="none" stroke="black"/>\n',
        _text(LEFT - 6, top + 10, f"{largest:.4g}", "end"),
        _text(LEFT - 6, bottom, "0", "end"),
        _text(LEFT - 6, top + HEIGHT // 2, name, "end"),
        *(_text(LEFT + WIDTH * part // 4, bottom + 16, f"{hours * part / 4:.3g} h", "middle") for part in range(5)),
    ]
    for number, line in enumerate(lines):
        points = " ".join(
            f"{LEFT + WIDTH * (index + 1) / len(line.values):.1f},{bottom - HEIGHT * value / largest:.1f}"
            for index, value in enumerate(line.values)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}"/>\n')
        parts.append(_text(LEFT + 8 + 150 * number, top - 6, line.name, "start", line.colour))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str, colour: str = "black") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>\n' if text else ""
