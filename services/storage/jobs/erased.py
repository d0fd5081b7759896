"""The images that were erased while a job used them: what such a job made must not be published, or must say so."""

from collections.abc import Collection

from sqlalchemy import Connection, RowMapping, select, update

from contract.errors import Conflict
from contract.jobs import LIVE, Job, JobKind, JobState
from contract.references import Noun, references_in
from services.storage.tables import jobs

ERASES, TRAINS = "erase", ("train", "trial")  # a training keeps going: its model is marked


def erased_during(connection: Connection, job: Job) -> tuple[str, ...]:
    """Return the SHA-256 of the images that were erased since the job had started, from what it uses."""
    return tuple(connection.execute(select(jobs.c.erased).where(jobs.c.id == job.id)).scalar_one() or ())


def require_unerased(connection: Connection, job: Job) -> None:
    """Raise Conflict if an image was erased while the job used it, since its result may have the image."""
    if erased_during(connection, job):
        raise Conflict("an image that the job used was erased while it ran, so its result is dropped; start it again")


def lock_live_jobs(connection: Connection, project: str) -> list[RowMapping]:
    """Return a project's jobs that have not ended, and keep them from being claimed or ended until the commit.

    Other erase jobs are left out: two that end at once would wait for each other.
    """
    live = select(jobs).where(jobs.c.project == project, jobs.c.state.in_(LIVE), jobs.c.parent_id.is_(None))
    live = live.where(jobs.c.kind != ERASES).order_by(jobs.c.id)
    return list(connection.execute(live.with_for_update()).mappings())


def note_erasure(
    connection: Connection,
    project: str,
    sha256: str,
    changed: Collection[tuple[Noun, str]],
    learned: Collection[tuple[Noun, str]],
) -> None:
    """Note an erased image with every job that may have read it: those that use what was `changed`.

    Trainings count if they use what is `learned`, since they learn from some splits of a version only. A job that waits
    will read what is new.
    """
    for row in lock_live_jobs(connection, project):
        if not _has_read(row):
            continue
        spec = JobKind(row["kind"]).definition.spec.model_validate(row["spec"])
        used = learned if row["kind"] in TRAINS else changed
        if any(reference in used for reference in references_in(spec)):
            noted = [*(row["erased"] or ()), sha256]
            connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(erased=noted))


def _has_read(row: RowMapping) -> bool:
    """Return whether a job has read something that it will use: it runs, or continues an earlier attempt."""
    read = ("checkpoint", "parts_total", "children")
    return row["state"] == JobState.RUNNING or any(row[name] is not None for name in read)
