"""Object references"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LIVE = ("queued", "running")


def upgrade() -> None:
    references = op.create_table(
        "object_references",
        sa.Column("bucket", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("owner_kind", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=127), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "key", "owner_kind", "owner_id", name=op.f("pk_object_references")),
    )
    op.create_index(
        op.f("ix_object_references_owner_kind_owner_id"), "object_references", ["owner_kind", "owner_id"], unique=False
    )
    registered: set[tuple[str, str, str, str]] = set()
    for owner_kind, owner_id, document in documents(op.get_bind()):
        registered |= {(bucket, key, owner_kind, owner_id) for bucket, key in objects(document)}
    names = ("bucket", "key", "owner_kind", "owner_id")
    op.bulk_insert(references, [dict(zip(names, row, strict=True)) for row in sorted(registered)])


def downgrade() -> None:
    op.drop_index(op.f("ix_object_references_owner_kind_owner_id"), table_name="object_references")
    op.drop_table("object_references")


def documents(connection: sa.Connection) -> Iterator[tuple[str, str, Any]]:
    """Yield for each row the kind and the id of the owner, and the JSON document that refers to its objects."""
    uploads = sa.table("uploads", sa.column("id"))
    for upload in connection.execute(sa.select(uploads)):
        yield "upload", upload.id, {"bucket": "uploads", "key": upload.id}
    for owner_kind in ("dataset_version", "model_version"):
        table = f"{owner_kind}s"
        versions = sa.table(table, sa.column("name"), sa.column("version"), sa.column("manifest", sa.JSON()))
        for row in connection.execute(sa.select(versions)):
            yield owner_kind, f"{row.name}@{row.version}", row.manifest
    jobs = sa.table(
        "jobs",
        *(sa.column(name, sa.String()) for name in ("id", "state", "parent_id")),
        *(sa.column(name, sa.JSON()) for name in ("spec", "result", "checkpoint", "output")),
    )
    for row in connection.execute(sa.select(jobs.c.id, jobs.c.output).where(jobs.c.output.is_not(None))):
        yield "job_output", row.id, row.output
    live = jobs.c.state.in_(LIVE)
    for row in connection.execute(sa.select(jobs.c.id, jobs.c.checkpoint).where(live, jobs.c.checkpoint.is_not(None))):
        yield "job_checkpoint", row.id, row.checkpoint
    parts = jobs.c.parent_id.in_(sa.select(jobs.c.id).where(live))
    for row in connection.execute(sa.select(jobs.c.parent_id, jobs.c.spec, jobs.c.result).where(parts)):
        yield "job_parts", row.parent_id, [row.spec, row.result]


def objects(document: Any) -> Iterator[tuple[str, str]]:
    """Yield the bucket and the key of each reference in a JSON document."""
    if isinstance(document, list):
        for item in document:
            yield from objects(item)
    elif isinstance(document, dict):
        bucket, key = document.get("bucket"), document.get("key")
        if isinstance(key, str) and bucket in ("uploads", "jobs"):
            yield bucket, key
        for item in document.values():
            yield from objects(item)
