"""Browser sessions, and indexes of a project's jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("once", sa.Boolean(), nullable=False),
        sa.Column("project", sa.String(length=63), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_sessions_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_key_id"), "sessions", ["key_id"], unique=False)
    for column in ("state", "model", "dataset"):
        op.create_index(op.f(f"ix_jobs_project_{column}_id"), "jobs", ["project", column, "id"], unique=False)


def downgrade() -> None:
    for column in ("state", "model", "dataset"):
        op.drop_index(op.f(f"ix_jobs_project_{column}_id"), table_name="jobs")
    op.drop_index(op.f("ix_sessions_key_id"), table_name="sessions")
    op.drop_table("sessions")
