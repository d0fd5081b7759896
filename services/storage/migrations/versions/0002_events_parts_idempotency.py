"""Events, parts, idempotency"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "id", name=op.f("pk_job_events")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("output", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("last_event", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("parent_id", sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column("part", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("parts_total", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("parts_left", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_parent_id_part"), ["parent_id", "part"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_jobs_parent_id"), "jobs", ["parent_id"], ["id"], ondelete="CASCADE")


def downgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_jobs_parent_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_jobs_parent_id_part"))
        batch_op.drop_column("parts_left")
        batch_op.drop_column("parts_total")
        batch_op.drop_column("part")
        batch_op.drop_column("parent_id")
        batch_op.drop_column("last_event")
        batch_op.drop_column("output")
        batch_op.drop_column("cancel_requested_at")

    op.drop_table("job_events")
    op.drop_table("idempotency")
