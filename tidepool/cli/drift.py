"""`tidepool drift`: whether the requests of a model have changed."""

from collections.abc import Iterator
from typing import Annotated

import typer

from contract.drift import AliasDrift
from tidepool.cli.connection import Project, connected
from tidepool.cli.output import Json, percent, print_json, print_table, say
from tidepool.cli.promote import PRODUCTION
from tidepool.cli.root import command

COLUMNS = ("statistic", "images", "distance", "by chance", "p", "")
DAY_COLUMNS = ("day", "predictions", "estimated accuracy", "reviewed", "reviewed accuracy", "")


@command("drift", "tidepool drift pets", "tidepool drift pets@staging --days 30")
def drift(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, or an alias of it: pets, pets@staging.")],
    days: Annotated[int, typer.Option(metavar="NUMBER", help="How many days to show.", min=1, max=90)] = 14,
    project: Project = None,
    as_json: Json = False,
) -> None:
    """Show whether the requests of a model still look like its validation images.

    The alias is `production` if none is named.
    """
    name, _, alias = model.partition("@")
    with connected(project) as client:
        shown = client.models.drift(name, alias or PRODUCTION, days=days)
    if as_json:
        print_json(shown)
        return
    say(*_lines(shown))
    rows = (
        (
            row.statistic,
            row.images,
            f"{row.distance:.3f}",
            f"{row.by_chance:.3f}",
            f"{row.p_value:.2g}",
            f"{row.summary}{'' if row.alarms else ' (no alarm)'}" if row.changed else "no change",
        )
        for row in shown.differences
    )
    print_table(COLUMNS, rows, numbers=COLUMNS[1:5])
    if shown.days:
        say("")
    lines = (
        (
            day.day,
            day.predictions,
            percent(day.estimate),
            day.reviewed and day.reviewed.reviewed,
            day.reviewed and percent(day.reviewed.accuracy),
            "alarm" if day.alarm else "",
        )
        for day in shown.days
    )
    print_table(DAY_COLUMNS, lines, numbers=DAY_COLUMNS[1:5])


def _lines(drift: AliasDrift) -> Iterator[str]:
    versions = " and ".join(map(str, drift.versions))
    yield f"{drift.model}@{drift.alias}, version {versions}, {drift.predictions:,} predictions since {drift.since}:"
    yield f"  {'ALARM: ' if drift.state == 'alarm' else ''}{drift.reason}"
    if drift.estimated:
        validation = percent(drift.estimated.on_validation), percent(drift.estimated.validation_accuracy)
        yield (
            f"  estimated accuracy: {percent(drift.estimated.estimate)}; for the validation images the estimate was "
            f"{validation[0]} and the true accuracy {validation[1]}"
        )
    if drift.reviewed:
        low, high = drift.reviewed.interval
        yield (
            f"  accuracy on {drift.reviewed.reviewed} randomly sampled images that people have reviewed: "
            f"{percent(drift.reviewed.accuracy)} ({percent(low)} to {percent(high)})"
        )
