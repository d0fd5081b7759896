"""Indexes over the jobs that are due, live or listed, and counters of the queued ones

PostgreSQL builds and drops indexes without blocking writers; a failed run can be repeated. `migrate` creates the
triggers that count, after the last migration.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

QUEUED, RUNNING, LIVE = "state = 'queued'", "state = 'running'", "state IN ('queued', 'running')"
WHOLE = "parent_id IS NULL"
LISTED = f"{WHOLE} AND child_of IS NULL"
# By name, the table, its columns, and the condition of a partial index.
NEW: Mapping[str, tuple[str, str, str | None]] = {
    "ix_jobs_due": (
        "jobs",
        "project, kind, priority DESC, coalesce(parent_id, id), part, id, run_at",
        QUEUED,
    ),
    "ix_jobs_run_at": ("jobs", "kind, run_at", QUEUED),
    "ix_jobs_woken_at": ("jobs", "kind, rung_at", QUEUED),
    "ix_jobs_lease_until": ("jobs", "lease_until", RUNNING),
    "ix_jobs_deadline_at": ("jobs", "deadline_at", f"{LIVE} AND deadline_at IS NOT NULL"),
    "ix_jobs_live_parts": ("jobs", "parent_id", f"{LIVE} AND parent_id IS NOT NULL"),
    "ix_jobs_live_children": ("jobs", "child_of", f"{LIVE} AND child_of IS NOT NULL"),
    "ix_jobs_live_names": ("jobs", "project, model, kind", f"{LIVE} AND {WHOLE}"),
    "ix_jobs_list": ("jobs", "project, id", LISTED),
    "ix_jobs_list_state": ("jobs", "project, state, id", LISTED),
    "ix_jobs_list_kind": ("jobs", "project, kind, state, id", LISTED),
    "ix_jobs_list_model": ("jobs", "project, model, state, id", LISTED),
    "ix_jobs_list_dataset": ("jobs", "project, dataset, state, id", LISTED),
    "ix_jobs_finished_at": ("jobs", "project, finished_at", f"{WHOLE} AND finished_at IS NOT NULL"),
    "ix_idempotency_created_at": ("idempotency", "created_at", None),
    "ix_outbox_job_id": ("outbox", "job_id", None),
    "ix_outbox_kind": ("outbox", "kind", None),
}
OLD: Mapping[str, tuple[str, str, str | None]] = {
    "ix_jobs_claims": ("jobs", "project, state, kind, priority DESC, coalesce(parent_id, id), part, id", None),
    "ix_jobs_state_lease_until": ("jobs", "state, lease_until", None),
    "ix_jobs_project_id": ("jobs", "project, id", None),
    "ix_jobs_project_state_id": ("jobs", "project, state, id", None),
    "ix_jobs_project_model_id": ("jobs", "project, model, id", None),
    "ix_jobs_project_dataset_id": ("jobs", "project, dataset, id", None),
}
# By default a fifth of the table may be dead rows, and claims pass those that were queued.
VACUUM = ("autovacuum_vacuum_scale_factor", "autovacuum_analyze_scale_factor")
TRIGGERS = ("jobs_queued_insert", "jobs_queued_update", "jobs_queued_delete")


def upgrade() -> None:
    op.create_table(
        "job_counts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("project", sa.String(length=63), server_default="default", nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("part", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_counts")),
        if_not_exists=True,
    )
    if _on_postgresql():
        op.execute(f"ALTER TABLE jobs SET ({', '.join(f'{name} = 0.01' for name in VACUUM)})")
    _replace_indexes(OLD, NEW)


def downgrade() -> None:
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name}{' ON jobs' if _on_postgresql() else ''}")
    if _on_postgresql():
        op.execute("DROP FUNCTION IF EXISTS count_queued_jobs()")
        op.execute(f"ALTER TABLE jobs RESET ({', '.join(VACUUM)})")
    op.drop_table("job_counts", if_exists=True)
    _replace_indexes(NEW, OLD)


def _replace_indexes(
    old: Mapping[str, tuple[str, str, str | None]], new: Mapping[str, tuple[str, str, str | None]]
) -> None:
    """Create the new indexes before the old ones go, so that no query is without one."""
    with _outside_transactions() as concurrently:
        for name, (table, columns, condition) in new.items():
            op.execute(f"DROP INDEX {concurrently} IF EXISTS {name}")  # what an interrupted run has left
            where = f" WHERE {condition}" if condition else ""
            op.execute(f"CREATE INDEX {concurrently} {name} ON {table} ({columns}){where}")
        for name in old:
            op.execute(f"DROP INDEX {concurrently} IF EXISTS {name}")


@contextmanager
def _outside_transactions() -> Iterator[str]:
    """Yield the word with which PostgreSQL lets others write meanwhile; it is not possible in a transaction."""
    if not _on_postgresql():
        yield ""
        return
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        try:
            yield "CONCURRENTLY"
        finally:
            op.execute("RESET statement_timeout")


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
