"""Quotas of projects, and fair claims"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("projects") as batch:
        batch.add_column(sa.Column("weight", sa.Integer(), server_default="1", nullable=False))
        batch.add_column(sa.Column("quotas", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "claim_turns",
        sa.Column("pool", sa.String(length=16), nullable=False),
        sa.Column("project", sa.String(length=63), server_default="default", nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("pool", "project", name=op.f("pk_claim_turns")),
    )
    op.drop_index(op.f("ix_jobs_kind_state_priority_id"), table_name="jobs")
    order = (sa.text("priority DESC"), sa.text("coalesce(parent_id, id)"))
    op.create_index("ix_jobs_claims", "jobs", ["project", "state", "kind", *order, "part", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_claims", table_name="jobs")
    columns = ["kind", "state", "priority", "id"]
    op.create_index(op.f("ix_jobs_kind_state_priority_id"), "jobs", columns, unique=False)
    op.drop_table("claim_turns")
    with op.batch_alter_table("projects") as batch:
        batch.drop_column("quotas")
        batch.drop_column("weight")
