"""The evaluations of model versions, newest first, as the console shows them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from contract.artifacts import ObjectRef
from contract.base import Frozen
from contract.jobs import LIVE, JobKind, JobState
from contract.kinds.evaluate import EvaluateResult, EvaluateSpec
from services.storage.database import Database
from services.storage.tables import jobs

MOST = 50  # evaluations of the versions together


class Evaluation(Frozen):
    """A job of the kind evaluate, without its result."""

    id: str
    state: JobState
    spec: EvaluateSpec
    progress: float
    progress_message: str
    error_message: str | None
    created_at: datetime

    @property
    def live(self) -> bool:
        return self.state in LIVE


@dataclass(frozen=True)
class Evaluations:
    """Reads a project's evaluations."""

    database: Database
    project: str

    def of(self, references: Collection[str]) -> tuple[Evaluation, ...]:
        """Return the newest evaluations of pinned versions (`name@version`)."""
        names = {reference.partition("@")[0] for reference in references}
        columns = (jobs.c[name] for name in Evaluation.model_fields)
        query = select(*columns).where(
            jobs.c.project == self.project,
            jobs.c.kind == JobKind("evaluate"),
            jobs.c.parent_id.is_(None),
            jobs.c.model.in_(names),
            jobs.c.spec["model"].as_string().in_(tuple(references)),
        )
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(MOST)).mappings()
            return tuple(Evaluation.model_validate(dict(row)) for row in rows)

    def results(self, ids: Collection[str]) -> dict[str, EvaluateResult]:
        """Return the results of evaluations that have succeeded, by the job's id."""
        if not ids:
            return {}
        query = select(jobs.c.id, jobs.c.result).where(
            jobs.c.project == self.project, jobs.c.id.in_(tuple(ids)), jobs.c.result.is_not(None)
        )
        with self.database.read() as connection:
            return {row.id: EvaluateResult.model_validate(row.result) for row in connection.execute(query)}

    def output(self, job_id: str) -> ObjectRef | None:
        """Return the file with a row for each image, None if there is none."""
        query = select(jobs.c.output).where(jobs.c.project == self.project, jobs.c.id == job_id)
        with self.database.read() as connection:
            output = connection.execute(query).scalar_one_or_none()
        return None if output is None else ObjectRef.model_validate(output)
