"""What pipelines react to: reviewed images, and drift."""

from datetime import datetime

from sqlalchemy import func, or_, select

from contract.datasets import Split
from contract.pipelines import PipelineRequest
from services.storage.database import Database
from services.storage.people.drift import Drift
from services.storage.people.queue import decided, of_dataset
from services.storage.tables import review_items


class Signals:
    """Reads the signals of all projects; methods raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def labels(self, project: str, dataset: str, after: datetime | None = None) -> int:
        """Return how many answers the next version of a dataset would get, of those decided after a moment.

        Images of test splits do not count, since pipelines keep these frozen.
        """
        items = review_items.c
        learned = or_(items.split.is_(None), items.split != Split.TEST)
        query = select(func.count()).select_from(review_items).where(decided(project), of_dataset(dataset), learned)
        with self._database.read() as connection:
            return connection.execute(query if after is None else query.where(items.decided_at > after)).scalar_one()

    def drifts(self, project: str, pipeline: PipelineRequest) -> bool:
        """Return whether the requests of a pipeline's alias have changed."""
        return bool(Drift(self._database, project).alarms(pipeline.model, pipeline.alias))
