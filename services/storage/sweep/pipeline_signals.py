"""What pipelines react to: reviewed images, and drift."""

from datetime import datetime

from sqlalchemy import func, or_, select

from contract.datasets import Split
from contract.pipelines import PipelineRequest
from services.storage.database import Database
from services.storage.people.drift import Drift
from services.storage.tables import model_versions, review_items


class Signals:
    """Reads the signals of all projects; methods raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def labels(self, project: str, dataset: str, after: datetime | None = None) -> int:
        """Return how many answers the next version of a dataset would get, of those decided after a moment.

        They are about images of its versions, and samples of models that were trained on it. Images of test splits do
        not count, since pipelines keep these frozen.
        """
        items, versions = review_items.c, model_versions.c
        trained = versions.dataset.startswith(f"{dataset}@", autoescape=True)
        models = select(versions.name).where(versions.project == project, trained)
        own = items.dataset.startswith(f"{dataset}@", autoescape=True)
        own &= or_(items.split.is_(None), items.split != Split.TEST)
        of_dataset = or_(own, items.dataset.is_(None) & items.model.in_(models))
        waiting = (items.project == project) & (items.state == "done") & items.applied_to.is_(None)
        query = select(func.count()).select_from(review_items).where(waiting, of_dataset)
        with self._database.read() as connection:
            return connection.execute(query if after is None else query.where(items.decided_at > after)).scalar_one()

    def drifts(self, project: str, pipeline: PipelineRequest) -> bool:
        """Return whether the requests of a pipeline's alias have changed."""
        return bool(Drift(self._database, project).alarms(pipeline.model, pipeline.alias))
