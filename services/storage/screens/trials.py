"""The children of a training as the console shows them: trials of a search, or folds."""

from typing import Any

from sqlalchemy import select

from services.storage.database import Database
from services.storage.jobs.children import reported_metrics
from services.storage.screens.jobs import Run
from services.storage.tables import jobs


class TrialRow(Run):
    """A child of a training; `value` is that of its objective, `scores` are those on images that it has not seen."""

    id: str
    number: int
    pruned: bool
    parameters: dict[str, Any]
    fold: dict[str, int] | None
    progress: float
    epochs: int
    value: float | None
    scores: dict[str, float] | None
    latest: float | None
    error_message: str | None


class TrialScreens:
    """Reads the children of a project's trainings."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def of(self, job_id: str) -> tuple[TrialRow, ...]:
        """Return the children of a training in the order of their numbers, in two queries."""
        result = jobs.c.result
        parts = (result["value"].label("value"), result["pruned"].label("pruned"), result["scores"].label("scores"))
        columns = ("id", "number", "state", "spec", "progress", "error_message", "started_at", "finished_at")
        query = select(*(jobs.c[name] for name in columns), *parts)
        query = query.where(jobs.c.project == self._project, jobs.c.child_of == job_id).order_by(jobs.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
            metrics = reported_metrics(connection, job_id) if rows else {}
        return tuple(_row(dict(row), metrics.get(row["id"], [])) for row in rows)


def _row(row: dict[str, Any], metrics: list[dict[str, Any]]) -> TrialRow:
    spec = row.pop("spec")
    latest = next((epoch["val_accuracy"] for epoch in reversed(metrics) if epoch.get("val_accuracy") is not None), None)
    more = {"parameters": spec["parameters"], "fold": spec["fold"], "epochs": len(metrics), "latest": latest}
    return TrialRow.model_validate(row | more | {"pruned": bool(row["pruned"])})
