"""The numbers of queued rows, which triggers of the database keep; reading them does not read the table of jobs."""

from sqlalchemy import Connection, delete, func, insert, select

from services.storage.tables import job_counts

FOLD_FROM = 50  # rows; below, reading them is as fast as folding them


def queued_by_kind(connection: Connection) -> dict[str, int]:
    """Return the number of queued jobs and parts of each kind, also of those that are not due yet."""
    sums = select(job_counts.c.kind, func.sum(job_counts.c.number)).group_by(job_counts.c.kind)
    return {kind: int(number) for kind, number in connection.execute(sums)}


def queued_jobs(connection: Connection, project: str | None = None) -> int:
    """Return the number of queued jobs of a project, or of all; parts do not count."""
    total = select(func.sum(job_counts.c.number)).where(job_counts.c.part.is_(False))
    if project is not None:
        total = total.where(job_counts.c.project == project)
    return int(connection.execute(total).scalar() or 0)


def fold(connection: Connection) -> None:
    """Replace the rows that transactions have added by one sum for each project, kind and part.

    Any number of processes may do this at once: each replaces the rows that it deletes itself.
    """
    row = job_counts.c
    if connection.execute(select(row.id).limit(1).offset(FOLD_FROM)).first() is None:
        return
    sums: dict[tuple[str, str, bool], int] = {}
    gone = delete(job_counts).returning(row.project, row.kind, row.part, row.number)
    for project, kind, part, number in connection.execute(gone):
        sums[project, kind, part] = sums.get((project, kind, part), 0) + number
    names = ("project", "kind", "part", "number")
    rows = [dict(zip(names, (*key, number), strict=True)) for key, number in sums.items() if number]
    if rows:
        connection.execute(insert(job_counts), rows)
