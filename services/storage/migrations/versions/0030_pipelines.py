"""Pipelines and their runs"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def _project() -> "sa.Column[str]":
    return sa.Column("project", sa.String(length=63), server_default="default", nullable=False)


def upgrade() -> None:
    op.create_table(
        "pipelines",
        _project(),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_pipelines")),
    )
    op.create_table(
        "pipeline_runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        _project(),
        sa.Column("pipeline", sa.String(length=63), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("labels", sa.Integer(), nullable=False),
        sa.Column("champion", sa.String(length=127), nullable=True),
        sa.Column("dataset", sa.String(length=127), nullable=True),
        sa.Column("candidate", sa.String(length=127), nullable=True),
        sa.Column("revise_job", sa.String(length=36), nullable=True),
        sa.Column("train_job", sa.String(length=36), nullable=True),
        sa.Column("evaluate_job", sa.String(length=36), nullable=True),
        sa.Column("gate", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("shadow_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["project", "pipeline"],
            ["pipelines.project", "pipelines.name"],
            name=op.f("fk_pipeline_runs_project_pipeline"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline_runs")),
    )
    op.create_index(op.f("ix_pipeline_runs_project_pipeline_id"), "pipeline_runs", ["project", "pipeline", "id"])
    running = sa.text("state = 'running'")
    op.create_index(
        "ix_pipeline_runs_one_at_once",
        "pipeline_runs",
        ["project", "pipeline"],
        unique=True,
        postgresql_where=running,
        sqlite_where=running,
    )
    op.add_column("jobs", sa.Column("pipeline", sa.String(length=63), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "pipeline")
    op.drop_table("pipeline_runs")
    op.drop_table("pipelines")
