"""What every page shows beside its own content: how many datasets, models, live jobs and open reviews a project has."""

from typing import NamedTuple

from sqlalchemy import func, select

from contract.jobs import LIVE, JobState
from services.storage.database import Database
from services.storage.jobs.counts import queued_jobs
from services.storage.people.queue import ReviewFilter, matching
from services.storage.screens.reviews import counted
from services.storage.tables import dataset_versions, in_state, jobs, model_versions

MOST_REVIEWS = 1000  # that are counted for every page


class ShellCounts(NamedTuple):
    """Counts of names with versions, of jobs, and of images to review, at most MOST_REVIEWS."""

    datasets: int
    models: int
    running: int
    queued: int
    reviews: int


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
        own = (jobs.c.project == self._project) & jobs.c.parent_id.is_(None) & jobs.c.child_of.is_(None)
        running = select(func.count()).where(own, jobs.c.state == JobState.RUNNING).scalar_subquery()
        children = select(func.count()).where(
            jobs.c.project.concat("") == self._project,  # so that SQLite reads the few live children, not all due jobs
            in_state(jobs, *LIVE),
            jobs.c.child_of.is_not(None),
            jobs.c.state == JobState.QUEUED,
        )
        reviews = counted(matching(self._project, ReviewFilter(state="open")), MOST_REVIEWS)
        with self._database.read() as connection:
            columns = (*names, running, children.scalar_subquery(), reviews.scalar_subquery())
            datasets, models, live, waiting_children, to_review = map(int, connection.execute(select(*columns)).one())
            queued = max(0, queued_jobs(connection, self._project) - waiting_children)
            return ShellCounts(datasets, models, live, queued, to_review)
