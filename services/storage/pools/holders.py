"""The only place that says which workers hold a job."""

from sqlalchemy import select

from contract.jobs import JobState
from services.storage.database import Database
from services.storage.tables import jobs


class Holders:
    """The names under which workers claimed what runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> frozenset[str]:
        """`host:pid` of each worker that has a lease, as far as anybody knows alive; raises DatabaseUnavailable."""
        held = (jobs.c.state == JobState.RUNNING) & jobs.c.lease_until.is_not(None)
        with self._database.read() as connection:
            return frozenset(name for name in connection.execute(select(jobs.c.worker).where(held)).scalars() if name)
