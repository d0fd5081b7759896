"""Shows the drift alarms of all projects as a metric."""

from collections.abc import Set

import structlog
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT
from contract.errors import Unavailable
from services.storage.database import Database
from services.storage.people.drift import Drift
from services.storage.sweep.metrics import DRIFT
from services.storage.tables import projects

MOST_ALARMS = 500  # time series

log = structlog.get_logger()

Labels = tuple[str, str]  # model and alias, as in the metric


def show_drift(database: Database, shown: Set[Labels]) -> Set[Labels]:
    """Set the metric of the alarms, of which `shown` were set before; return those that are set now.

    Raises DatabaseUnavailable.
    """
    query = select(projects.c.name).where(projects.c.purge_job.is_(None)).order_by(projects.c.name)
    with database.read() as connection:
        names = connection.execute(query).scalars().all()
    alarms = [labels for name in names for labels in _alarms(database, name, shown)][:MOST_ALARMS]
    for labels in alarms:
        DRIFT.labels(*labels).set(1)
    for labels in shown - set(alarms):
        DRIFT.remove(*labels)
    return set(alarms)


def _alarms(database: Database, project: str, shown: Set[Labels]) -> list[Labels]:
    """Return the alarms of a project; those that are shown already if its rows cannot be read."""
    prefix = "" if project == DEFAULT_PROJECT else f"{project}/"
    try:
        return [(f"{prefix}{alarm.model}", alarm.alias) for alarm in Drift(database, project).alarms()]
    except Unavailable:
        raise
    except Exception:
        log.exception("the drift of a project cannot be read", project=project)
        return [labels for labels in shown if labels[0].rpartition("/")[0] == prefix.rstrip("/")]
