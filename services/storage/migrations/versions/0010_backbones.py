"""Backbones that people bring"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backbones",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_backbones")),
    )
    op.create_table(
        "backbone_versions",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.Column("rejected", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_backbone_versions_job_id_jobs")),
        sa.ForeignKeyConstraint(["name"], ["backbones.name"], name=op.f("fk_backbone_versions_name_backbones")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_backbone_versions")),
    )


def downgrade() -> None:
    op.drop_table("backbone_versions")
    op.drop_table("backbones")
