"""What model versions have answered, by day"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "drift_counts",
        sa.Column("project", sa.String(length=63), server_default="default", nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project", "model", "version"],
            ["model_versions.project", "model_versions.name", "model_versions.version"],
            name=op.f("fk_drift_counts_project_model_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project", "model", "version", "day", name=op.f("pk_drift_counts")),
    )
    op.create_index(op.f("ix_drift_counts_project_day"), "drift_counts", ["project", "day"])


def downgrade() -> None:
    op.drop_table("drift_counts")
