"""What every page shows beside its own content: how many datasets, models and live jobs a project has."""

from typing import NamedTuple

from sqlalchemy import func, select

from contract.jobs import JobState
from services.storage.database import Database
from services.storage.jobs.counts import queued_jobs
from services.storage.tables import dataset_versions, jobs, model_versions


class ShellCounts(NamedTuple):
    """Counts of names with versions, and of jobs."""

    datasets: int
    models: int
    running: int
    queued: int


class ShellReader:
    """Reads the counts of a project."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def counts(self) -> ShellCounts:
        """Return the counts; raises DatabaseUnavailable."""
        names = [
            select(func.count(table.c.name.distinct())).where(table.c.project == self._project).scalar_subquery()
            for table in (dataset_versions, model_versions)
        ]
        own = (jobs.c.project == self._project) & jobs.c.parent_id.is_(None)
        running = select(func.count()).where(own, jobs.c.state == JobState.RUNNING).scalar_subquery()
        with self._database.read() as connection:
            row = connection.execute(select(*names, running)).one()
            datasets, models, live = (int(count) for count in row)
            return ShellCounts(datasets, models, live, queued_jobs(connection, self._project))
