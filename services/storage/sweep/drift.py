"""Shows the drift alarms of all projects as a metric."""

from collections.abc import Set

from sqlalchemy import select

from contract.access import DEFAULT_PROJECT
from services.storage.database import Database
from services.storage.people.drift import Drift
from services.storage.sweep.metrics import DRIFT
from services.storage.tables import projects

MOST_ALARMS = 500  # time series

Labels = tuple[str, str]  # model and alias, as in the metric


def show_drift(database: Database, shown: Set[Labels]) -> Set[Labels]:
    """Set the metric of the alarms, of which `shown` were set before; return those that are set now.

    Raises DatabaseUnavailable.
    """
    query = select(projects.c.name).where(projects.c.purge_job.is_(None)).order_by(projects.c.name)
    with database.read() as connection:
        names = connection.execute(query).scalars().all()
    alarms: list[Labels] = [
        (alarm.model if name == DEFAULT_PROJECT else f"{name}/{alarm.model}", alarm.alias)
        for name in names
        for alarm in Drift(database, name).alarms()
    ][:MOST_ALARMS]
    for labels in alarms:
        DRIFT.labels(*labels).set(1)
    for labels in shown - set(alarms):
        DRIFT.remove(*labels)
    return set(alarms)
