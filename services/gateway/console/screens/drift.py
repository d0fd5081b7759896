"""/serving/{model}/{alias}/drift: whether the requests of an alias still look like the validation images."""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from contract.drift import AliasDrift, DetailedDifference, DriftDay
from services.gateway.console.charts import Spark, columns, line
from services.gateway.console.formats import percent
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, ViewerDep
from services.gateway.dependencies import NamePath

router = APIRouter(include_in_schema=False)

DAYS = 30
NAMES = {
    "classes": "Predicted classes",
    "confidence": "Confidence",
    "brightness": "Brightness",
    "sharpness": "Sharpness",
    "width": "Width",
    "height": "Height",
}


class Statistic(NamedTuple):
    """One statistic: its comparison, the two histograms, and its distance by day."""

    difference: DetailedDifference
    histogram: Spark
    by_day: Spark

    @property
    def alarm(self) -> bool:
        return self.difference.changed and self.difference.alarms


@router.get("/serving/{model}/{alias}/drift", dependencies=MAY_SEE)
def show_drift(request: Request, viewer: ViewerDep, model: NamePath, alias: NamePath) -> Response:
    """The drift of an alias."""
    drift = viewer.stores.drift.of_alias(model, alias, DAYS)
    return page(
        request,
        viewer,
        "drift.html",
        screen="serving",
        drift=drift,
        statistics=statistics_of(drift),
        predictions=line([float(day.predictions) for day in drift.days]),
        names=NAMES,
    )


def statistics_of(drift: AliasDrift) -> list[Statistic]:
    """Return the statistics, alarms first."""
    statistics = [Statistic(one, _histogram(one), _by_day(drift.days, one)) for one in drift.differences]
    return sorted(statistics, key=lambda one: (not one.alarm, -one.difference.distance))


def _histogram(difference: DetailedDifference) -> Spark:
    bins = difference.bins
    titles = [
        f"{one.bin}: {percent(one.observed)} of the requests, {percent(one.reference)} in validation" for one in bins
    ]
    return columns([one.observed for one in bins], [one.reference for one in bins], titles)


def _by_day(days: Sequence[DriftDay], difference: DetailedDifference) -> Spark:
    distances = [one.distance for day in days for one in day.differences if one.statistic == difference.statistic]
    return line(distances, max(difference.by_chance * 2, 0.1))
