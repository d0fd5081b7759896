"""Projects"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

VERSION = ["name", "version"]
NOUNS = ("dataset", "model", "backbone")
# By table, the names of the columns of its primary key, after `project`.
KEYS = {
    "datasets": ["name"],
    "dataset_versions": ["name", "version"],
    "features": ["dataset", "key"],
    "models": ["name"],
    "model_versions": ["name", "version"],
    "backbones": ["name"],
    "backbone_versions": ["name", "version"],
    "aliases": ["model", "alias"],
    "alias_weights": ["model", "alias", "version"],
    "idempotency": ["owner", "key"],
    "usage": ["day", "pool", "purpose", "model", "job", "gpu"],
}
# Table, name, columns, table and columns that they refer to, what a deletion does.
OLD = [
    ("alias_weights", "fk_alias_weights_model_alias", ["model", "alias"], "aliases", ["model", "alias"], "CASCADE"),
    ("alias_weights", "fk_alias_weights_model_version", ["model", "version"], "model_versions", VERSION, None),
    ("aliases", "fk_aliases_model_shadow", ["model", "shadow"], "model_versions", VERSION, None),
    ("features", "fk_features_dataset_datasets", ["dataset"], "datasets", ["name"], None),
    ("dataset_versions", "fk_dataset_versions_name", ["name"], "datasets", ["name"], None),
    ("model_versions", "fk_model_versions_name", ["name"], "models", ["name"], None),
    ("backbone_versions", "fk_backbone_versions_name_backbones", ["name"], "backbones", ["name"], None),
]


def upgrade() -> None:
    projects = op.create_table(
        "projects",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.execute(projects.insert().values(name="default", description="", created_at=sa.func.current_timestamp()))
    for table, name, *_ in OLD:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(batch.f(name), type_="foreignkey")
    for table, key in KEYS.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(batch.f(f"pk_{table}"), type_="primary")
            batch.add_column(_project())
            batch.create_primary_key(batch.f(f"pk_{table}"), ["project", *key])
    for table, _, columns, target, target_columns, ondelete in OLD:
        with op.batch_alter_table(table) as batch:
            name = batch.f("_".join(["fk", table, "project", *columns]))
            project = ["project"]
            batch.create_foreign_key(name, target, project + columns, project + target_columns, ondelete=ondelete)
    for table in ("jobs", "uploads", "api_keys"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(_project())
    op.create_index(op.f("ix_jobs_project_id"), "jobs", ["project", "id"], unique=False)
    with op.batch_alter_table("object_references") as batch:
        batch.alter_column("owner_id", existing_type=sa.String(length=127), type_=sa.String(length=191))
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("project", existing_type=sa.String(length=63), server_default="default")


def downgrade() -> None:
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("project", existing_type=sa.String(length=63), server_default=None)
    _forget_other_projects()
    with op.batch_alter_table("object_references") as batch:
        batch.alter_column("owner_id", existing_type=sa.String(length=191), type_=sa.String(length=127))
    op.drop_index(op.f("ix_jobs_project_id"), table_name="jobs")
    for table in ("jobs", "uploads", "api_keys"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("project")
    for table, _, columns, *_ in OLD:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(batch.f("_".join(["fk", table, "project", *columns])), type_="foreignkey")
    for table, key in KEYS.items():
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(batch.f(f"pk_{table}"), type_="primary")
            batch.drop_column("project")
            batch.create_primary_key(batch.f(f"pk_{table}"), key)
    for table, name, columns, target, target_columns, ondelete in OLD:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(batch.f(name), target, columns, target_columns, ondelete=ondelete)
    op.drop_table("projects")


def _project() -> "sa.Column[str]":
    return sa.Column("project", sa.String(length=63), nullable=False, server_default="default")


def _forget_other_projects() -> None:
    """Delete the rows of all projects but the default one, which the older schema cannot tell apart."""
    op.execute("DELETE FROM job_events WHERE job_id IN (SELECT id FROM jobs WHERE project <> 'default')")
    op.execute("DELETE FROM outbox WHERE job_id IN (SELECT id FROM jobs WHERE project <> 'default')")
    versions = ("alias_weights", "aliases", "features", *(f"{noun}_versions" for noun in NOUNS))
    for table in (*versions, *(f"{noun}s" for noun in NOUNS), "idempotency", "usage", "uploads", "jobs", "api_keys"):
        op.execute(f"DELETE FROM {table} WHERE project <> 'default'")  # noqa: S608  names of tables
