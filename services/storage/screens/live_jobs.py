"""The jobs of a project that have not ended, as the console's live stream reports them."""

from sqlalchemy import select

from contract.base import Frozen
from contract.jobs import LIVE
from services.storage.database import Database
from services.storage.jobs.rows import newest
from services.storage.tables import jobs

MOST = 50  # jobs in one message; of more, the newest


class LiveJob(Frozen):
    """A job that has not ended; `event` is the number of its last event."""

    id: str
    kind: str
    state: str
    progress: float
    progress_message: str
    event: int


class LiveJobs:
    """Reads a project's live jobs."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def list(self) -> tuple[LiveJob, ...]:
        """Return the newest MOST live jobs, newest first; raises DatabaseUnavailable."""
        columns = (jobs.c.id, jobs.c.kind, jobs.c.state, jobs.c.progress, jobs.c.progress_message)
        query = select(*columns, jobs.c.last_event.label("event")).where(
            jobs.c.project == self._project, jobs.c.parent_id.is_(None), jobs.c.child_of.is_(None)
        )
        with self._database.read() as connection:
            return tuple(LiveJob.model_validate(dict(row)) for row in newest(connection, query, MOST, LIVE))
