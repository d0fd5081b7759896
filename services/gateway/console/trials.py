"""The trials of a search as a table and two charts: the values in their order, and which parameters decide."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from services.gateway.console.charts import HEIGHT, TOP, WIDTH
from services.storage.screens.trials import TrialRow


class Dot(NamedTuple):
    """A trial in the chart of the history."""

    x: float
    y: float
    number: int
    best: bool
    title: str


class History(NamedTuple):
    """The values of the trials as dots, the best value so far as a line, and the values at the bottom and the top."""

    dots: tuple[Dot, ...] = ()
    line: str = ""
    low: float = 0.0
    high: float = 0.0


class Share(NamedTuple):
    """How much of the differences a parameter explains, 0..1."""

    name: str
    value: float


class Trials(NamedTuple):
    """What the screen of a search or a cross-validation shows."""

    rows: tuple[TrialRow, ...]
    names: tuple[str, ...]
    objective: str
    best: int | None
    members: tuple[int, ...]
    total: int
    history: History
    importance: tuple[Share, ...]
    folds: Mapping[str, Any] | None


def trials_of(spec: Mapping[str, Any], result: Mapping[str, Any], rows: Sequence[TrialRow]) -> Trials | None:
    """Return the trials of a training, None for one without a search and folds."""
    search, folds = spec.get("search") or {}, spec.get("folds")
    if not search and not folds:
        return None
    objective = str(search.get("objective", ""))
    maximize = objective != "val.loss"
    study = result.get("study") or {}
    best = study.get("best", _best(rows, maximize))
    shares = sorted((study.get("importance") or {}).items(), key=lambda item: -item[1])
    return Trials(
        rows=tuple(rows),
        names=tuple(search.get("over", ())),
        objective=objective,
        best=best,
        members=tuple(study.get("members", ())),
        total=int(search["trials"]) if search else int(folds or 0) + 1,
        history=_history(rows, objective, maximize, best) if search else History(),
        importance=tuple(Share(name, value) for name, value in shares),
        folds=result.get("folds"),
    )


def _best(rows: Sequence[TrialRow], maximize: bool) -> int | None:
    rated = [(row.value if maximize else -row.value, -row.number) for row in rows if row.value is not None]
    return -max(rated)[1] if rated else None


def _history(rows: Sequence[TrialRow], objective: str, maximize: bool, best: int | None) -> History:
    rated = [(row, row.value) for row in rows if row.value is not None]
    if not rated:
        return History()
    low, high = min(value for _, value in rated), max(value for _, value in rated)
    spread, last = high - low or 1.0, max(rated[-1][0].number, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        inner = HEIGHT - 2 * TOP
        return round(4 + number / last * (WIDTH - 8), 1), round(TOP + inner - (value - low) / spread * inner, 1)

    dots, corners, record = [], list[str](), rated[0][1]
    for row, value in rated:
        record = max(record, value) if maximize else min(record, value)
        x, y = place(row.number, value)
        dots.append(Dot(x, y, row.number, row.number == best, f"trial {row.number}: {objective} {value:.4g}"))
        level = place(row.number, record)[1]
        corners.append(f"H{x}V{level}" if corners else f"M{x} {level}")
    return History(tuple(dots), "".join(corners), low, high)
