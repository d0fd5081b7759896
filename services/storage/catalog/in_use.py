"""Versions that jobs use cannot be deleted."""

from sqlalchemy import Connection, Text, cast, select

from contract.errors import Conflict
from contract.jobs import LIVE, JobKind
from contract.references import Noun, references_in
from services.storage.tables import jobs


def require_unused(connection: Connection, noun: Noun, reference: str) -> None:
    """Raise Conflict if the spec of a job that has not ended refers to the version (`name@version`)."""
    live = select(jobs.c.kind, jobs.c.spec).where(jobs.c.state.in_(LIVE), jobs.c.parent_id.is_(None))
    mentions = live.where(cast(jobs.c.spec, Text).contains(reference, autoescape=True))  # so that few are parsed
    for kind, spec in connection.execute(mentions):
        if (noun, reference) in references_in(JobKind(kind).definition.spec.model_validate(spec)):
            raise Conflict(f"a job that has not ended uses {reference}; cancel it or wait")
