"""Storage and retention"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

OWNED = ("jobs", "uploads", "api_keys")
VERSIONS = ("dataset_versions", "model_versions", "backbone_versions")


def upgrade() -> None:
    with op.batch_alter_table("projects") as batch:
        batch.add_column(sa.Column("retention", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("purge_job", sa.String(length=36), nullable=True))
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("actor", existing_type=sa.String(length=8), type_=sa.String(length=16))
    op.create_table(
        "storage_usage",
        sa.Column("project", sa.String(length=63), server_default="default", nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "category", name=op.f("pk_storage_usage")),
    )
    op.create_table(
        "upload_uses",
        sa.Column("upload_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_upload_uses_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_upload_uses_upload_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", "job_id", name=op.f("pk_upload_uses")),
    )
    op.create_index(op.f("ix_upload_uses_job_id"), "upload_uses", ["job_id"], unique=False)
    for table in VERSIONS:
        op.create_index(op.f(f"ix_{table}_job_id"), table, ["job_id"], unique=False)
    _register_uses()
    _repair_orphans()
    for table in OWNED:
        with _keeping_indexes(table), op.batch_alter_table(table) as batch:
            batch.create_foreign_key(batch.f(f"fk_{table}_project"), "projects", ["project"], ["name"])


def downgrade() -> None:
    for table in OWNED:
        with _keeping_indexes(table), op.batch_alter_table(table) as batch:
            batch.drop_constraint(batch.f(f"fk_{table}_project"), type_="foreignkey")
    op.drop_table("upload_uses")
    for table in VERSIONS:
        op.drop_index(op.f(f"ix_{table}_job_id"), table_name=table)
    op.drop_table("storage_usage")
    op.execute("DELETE FROM audit WHERE length(actor) > 8")
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("actor", existing_type=sa.String(length=16), type_=sa.String(length=8))
    with op.batch_alter_table("projects") as batch:
        batch.drop_column("purge_job")
        batch.drop_column("retention")


def _register_uses() -> None:
    """Register the uploads that the specs of jobs name."""
    text = sa.String()
    columns = [sa.column(name, text) for name in ("id", "project", "parent_id")]
    jobs = sa.table("jobs", *columns, sa.column("spec", sa.JSON()))
    uploads = sa.table("uploads", sa.column("id", text), sa.column("project", text))
    uses = sa.table("upload_uses", sa.column("upload_id", text), sa.column("job_id", text))
    connection = op.get_bind()
    stored = {(row.project, row.id) for row in connection.execute(sa.select(uploads))}
    mentions = sa.cast(jobs.c.spec, sa.Text).contains('"upload"')
    for row in connection.execute(sa.select(jobs).where(jobs.c.parent_id.is_(None), mentions)).all():
        for upload in sorted({upload for upload in _uploads(row.spec) if (row.project, upload) in stored}):
            connection.execute(uses.insert().values(upload_id=upload, job_id=row.id))


@contextmanager
def _keeping_indexes(table: str) -> Iterator[None]:
    """Make the indexes on expressions again, which a copy of a table on SQLite lacks."""
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql <> ''")
    before = {row.name: row.sql for row in op.get_bind().execute(query, {"table": table})}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection", sa.exc.SAWarning)
        yield
    after = {row.name: row.sql for row in op.get_bind().execute(query, {"table": table})}
    for name in before.keys() - after.keys():
        op.execute(before[name])


def _uploads(document: Any) -> Iterator[str]:
    """Yield the ids of the uploads in a job's spec."""
    if isinstance(document, dict):
        if isinstance(document.get("upload"), str):
            yield document["upload"]
        for item in document.values():
            yield from _uploads(item)


def _repair_orphans() -> None:
    """Handle rows that were written while their project was deleted: no key may act in it; the rest can be purged."""
    op.execute("DELETE FROM api_keys WHERE project NOT IN (SELECT name FROM projects)")
    op.execute(
        "INSERT INTO projects (name, description, created_at) "
        "SELECT project, 'What was written while this project was deleted', CURRENT_TIMESTAMP "
        "FROM (SELECT project FROM jobs UNION SELECT project FROM uploads) AS owners "
        "WHERE project NOT IN (SELECT name FROM projects)"
    )
